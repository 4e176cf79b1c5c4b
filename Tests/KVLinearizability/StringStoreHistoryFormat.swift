/// Reads string-store histories.
///
/// Each line is an event:
///
///     {:process 0, :type :invoke|:ok|:fail|:info, :f :get|:put|:append, :key "0", :value "x 0 0 y"|nil}
package enum StringStoreHistoryFormat {
    /// An operation on the store.
    package typealias Operation = HistoryOperation<StringStoreModel.Call, StringStoreModel.Result>

    /// The operations of `text`; the moments are line numbers.
    package static func parse(_ text: String) throws(HistoryParsingError) -> [Operation] {
        var pairing = OperationPairing<StringStoreModel.Call, StringStoreModel.Result>()
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            guard let last = line.last(where: { !$0.isWhitespace }) else { continue }
            guard last == "}" else { throw HistoryParsingError(line: number, what: "a line without its closing brace") }
            let fields = fields(of: line)
            guard let process = fields["process"].flatMap({ Int($0) }), let type = fields["type"],
                let name = fields["f"],
                let key = fields["key"]
            else {
                throw HistoryParsingError(line: number, what: "expected :process, :type, :f and :key")
            }
            let value = fields["value"]
            switch type {
            case ":invoke":
                try pairing.begin(process, key: key, call: call(name, value, number), line: number)
            case ":ok":
                let result: StringStoreModel.Result = name == ":get" ? .value(value ?? "") : .done
                try pairing.end(process, .completed(at: UInt64(number), result), line: number)
            case ":fail":
                try pairing.end(process, .failed, line: number)
            case ":info":
                try pairing.end(process, .unknown, line: number)
            default:
                throw HistoryParsingError(line: number, what: "a type \(type), expected :invoke, :ok, :fail or :info")
            }
        }
        return pairing.operations
    }

    private static func call(
        _ name: String,
        _ value: String?,
        _ line: Int
    ) throws(HistoryParsingError) -> StringStoreModel.Call {
        switch (name, value) {
        case (":get", _): .get
        case (":put", let value?): .put(value)
        case (":append", let value?): .append(value)
        default: throw HistoryParsingError(line: line, what: "an operation \(name) of \(value ?? "nil")")
        }
    }

    /// The fields of a line by name: strings without their quotes, other words as they stand, `nil` left out.
    private static func fields(of line: Substring) -> [String: String] {
        var fields: [String: String] = [:]
        var name: String?
        var rest = line.drop { $0 == "{" || $0.isWhitespace }
        while let first = rest.first, first != "}" {
            let word: Substring
            if first == "\"" {
                rest.removeFirst()
                word = rest.prefix { $0 != "\"" }
                rest = rest.dropFirst(word.count + 1)
            } else {
                word = rest.prefix { !", }".contains($0) }
                rest = rest.dropFirst(word.count)
            }
            if let known = name {
                if first == "\"" || word != "nil" { fields[known] = String(word) }
                name = nil
            } else {
                name = String(word.drop { $0 == ":" })
            }
            rest = rest.drop { $0 == "," || $0 == " " }
        }
        return fields
    }
}
