/// Reads register histories as Jepsen logs them.
///
/// Each line is an event:
///
///     INFO  jepsen.util - <process> TAB :invoke|:ok|:fail|:info TAB :read|:write|:cas TAB <value>
///
/// A failed compare-and-set was answered "the value differed"; a failed read has no result and is dropped; `:info`
/// leaves the outcome open. Lines of other loggers are passed over.
package enum RegisterHistoryFormat {
    /// An operation on the register.
    package typealias Operation = HistoryOperation<RegisterModel.Call, RegisterModel.Result>

    /// The operations of `text`; the moments are line numbers.
    package static func parse(_ text: String) throws(HistoryParsingError) -> [Operation] {
        var pairing = OperationPairing<RegisterModel.Call, RegisterModel.Result>()
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count >= 6, words[0] == "INFO", words[1] == "jepsen.util", let process = Int(words[3]) else {
                continue
            }
            let value = words[6...].joined(separator: " ")
            switch words[4] {
            case ":invoke":
                try pairing.begin(process, key: "register", call: call(words[5], value, number), line: number)
            case ":ok":
                let result: RegisterModel.Result = words[5] == ":read" ? .value(try read(value, number)) : .done
                try pairing.end(process, .completed(at: UInt64(number), result), line: number)
            case ":fail" where words[5] == ":cas":
                try pairing.end(process, .completed(at: UInt64(number), .differed), line: number)
            case ":fail":
                try pairing.end(process, .failed, line: number)
            case ":info":
                try pairing.end(process, .unknown, line: number)
            default:
                throw HistoryParsingError(
                    line: number,
                    what: "an event \(words[4]), expected :invoke, :ok, :fail or :info"
                )
            }
        }
        return pairing.operations
    }

    private static func call(
        _ name: Substring,
        _ value: String,
        _ line: Int
    ) throws(HistoryParsingError) -> RegisterModel.Call {
        switch name {
        case ":read": return .read
        case ":write":
            if let number = Int(value) { return .write(number) }
        case ":cas":
            let numbers = value.split { "[] ".contains($0) }.compactMap { Int($0) }
            if numbers.count == 2 { return .compareAndSet(expected: numbers[0], new: numbers[1]) }
        default: break
        }
        throw HistoryParsingError(line: line, what: "an operation \(name) \(value)")
    }

    private static func read(_ value: String, _ line: Int) throws(HistoryParsingError) -> Int? {
        if value == "nil" { return nil }
        guard let number = Int(value) else { throw HistoryParsingError(line: line, what: "a read of \(value)") }
        return number
    }
}
