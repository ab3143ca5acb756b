/// What an expression may be and cost.
public enum Limits {
    /// The longest expression, in bytes.
    public static let bytes = 64 << 10
    /// How many brackets, calls and conditionals may stand within each other: what fits half a mebibyte of stack with room to spare.
    public static let nesting = 50
    /// How deep the tree may be, operators, fields and calls in a row counted too; `&&` and `||` in a row are not, they make a flat tree.
    public static let depth = 80
    /// How many mistakes are told at once.
    public static let errors = 20
    /// What an evaluation may cost unless it is told otherwise, in units (`Arena`): about a tenth of a second.
    public static let budget = 4_000_000
    /// What running constants may cost while a program is compiled; what they make stays with it.
    static let folding = 100_000
}
