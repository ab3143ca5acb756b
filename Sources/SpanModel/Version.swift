/// The version of tracefwd, as it stands in `--version`, in User-Agent headers and in metrics.
public let version = "0.1.0"
