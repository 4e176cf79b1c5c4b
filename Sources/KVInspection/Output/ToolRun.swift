/// Runs a command: its verdict becomes the exit code.
///
/// A failure before the verdict is the verdict; a mistake on the command line, or a failure behind the verdict, is `message`.
package func runTool(
    _ output: Output,
    _ body: () throws(ToolFailure) -> ToolExit
) -> (exit: ToolExit, message: String?) {
    defer { output.flush() }
    do throws(ToolFailure) {
        return (try body(), nil)
    } catch {
        guard !output.hasVerdict, error.exit != .usage else { return (error.exit, error.description) }
        output.verdict(Verdict(error.exit == .damage ? .damaged : .unreadable, error.description))
        return (error.exit, nil)
    }
}

/// Puts the command before the paths: `sstdump TABLET verify` is `sstdump verify TABLET`.
///
/// Only where the first word is no command and no option.
package func commandFirst(_ arguments: [String], commands: [String]) -> [String] {
    guard let first = arguments.first, !first.hasPrefix("-"), !commands.contains(first), first != "help",
        let place = arguments.firstIndex(where: { commands.contains($0) })
    else { return arguments }
    // Only paths may stand before it: a word after an option may be the option's value.
    guard arguments[..<place].allSatisfy({ !$0.hasPrefix("-") }) else { return arguments }
    return [arguments[place]] + arguments[..<place] + arguments[(place + 1)...]
}
