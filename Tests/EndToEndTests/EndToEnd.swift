import Testing

/// Tests with the real programs.
///
/// One at a time: each has the machine to itself, as its timing expects.
@Suite(.serialized, .enabled(if: Programs.exist, "kvnode and kvctl are not built; `make test` builds them"))
struct EndToEnd {}
