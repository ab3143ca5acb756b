"""Kills the real daemon with SIGKILL at random moments, round after round over one spool, and checks the books end to end.

    make crash ROUNDS=300                  a long run; SEED=n repeats a plan (not the microsecond of a kill)
    PYTHONPATH=Tests/acceptance python3 -m crash --rounds 300 --seed 7 [--verbose] [--power-cuts] [--drop-oldest]

One spool, two HTTP destinations whose platforms are processes of their own, and a `file`. Each round starts the daemon, lets writers write
(unix socket with acks, without, UDP; each line has a number of its own), and ends with a kill: at some moment, during the start, a reload,
the drain of a SIGTERM, a checkpoint, near `max_size`, while stopped by SIGSTOP, twice in quick succession. Meanwhile each platform is well,
fails, is slow, flaky, frozen (SIGSTOP) or down (SIGKILL); it always refuses some spans for good, so that there are dead letters. At the end
all is well again, everything settles, and the dead letters are replayed. What differs from round to round stands in `plan.py`.

With `--power-cuts` most kills take with them what was not synced, in parts (`power.c`): then an ack is held to the disk, not to the kernel.
With `--drop-oldest` a spool that is full lets the oldest spans go, of any destination.

What must hold, or the exit status is 1 and the folder stays (`books.py` has the checks, each with its sentence):

1. Each acknowledged span was taken at least once by each destination, or is a dead letter there, or expired by `backlog` where the
   configuration allows that; accepted = taken or dead, span for span, where it does not; the ledger has the same numbers.
2. Nothing arrives that was not written, and every copy of a span has the same ids and bytes, at each destination, in a dead letter too.
3. At each kill, of a copy of the spool's files: `spool verify` finds nothing, ids are dense and not used twice, accepted >= acknowledged,
   each acknowledged span of the round is in the log, and nothing that `status` or /metrics had said is undone.
4. A span that was settled on disk at a kill is never sent again, but for dead letters when a person asks. Within a run none is sent again
   that was answered for.
5. Duplicates. Let *proof* be when the writing of the last lines began that the daemon acknowledged before the kill: the commit that held
   them is younger than that, and a verdict rides in the first commit that is taken 100 ms after it or later (the spool's promise). So a
   verdict that the daemon knew at `proof - 100 ms` is on disk, however slow the machine is. What a platform took in the run and the kill
   left unsettled is therefore one of
     - answered before `proof - 100 ms`: the daemon can only have had it in flight then, so at most `workers` requests;
     - answered between that and the kill: what "settled in the last 100 ms", counted at the platform;
     - not answered when the kill came: in flight, at most `workers` requests. (Where a platform was frozen or killed itself, the daemon may
       have given up waiting before: these are told apart, as lost answers.)
   The duplicates of a kill are at most these. A writer that sends again what was never acknowledged makes spans of its own, told apart by
   their number.
"""
