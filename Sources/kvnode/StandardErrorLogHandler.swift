import Glibc
import KVConfiguration
import KVTelemetry
import Logging

/// Writes log lines to standard error: for people, or as one JSON object a line.
struct StandardErrorLogHandler: LogHandler {
    let label: String
    let format: LogFormat
    /// The process's level, which may change while it runs, unless this logger was given one of its own.
    var logLevel: Logger.Level {
        get { ownLevel ?? LogLevelControl.shared.level }
        set { ownLevel = newValue }
    }
    private var ownLevel: Logger.Level?
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, format: LogFormat) {
        self.label = label
        self.format = format
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        let fields = all.sorted { $0.key < $1.key }.map { ($0.key, $0.value.description) }
        switch format {
        case .text: StandardError.write(text(event, fields))
        case .json: StandardError.write(json(event, fields))
        }
    }

    private func text(_ event: LogEvent, _ fields: [(String, String)]) -> String {
        let level = event.level.rawValue
        var line =
            "\(timestamp()) \(level)\(String(repeating: " ", count: max(0, 8 - level.utf8.count))) \(event.message)"
        for (name, value) in fields {
            let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 32 && $0 != UInt8(ascii: "\"") && $0 != 127 }
            line += isPlain ? " \(name)=\(value)" : " \(name)=\(jsonQuoted(value))"
        }
        return line.unicodeScalars.contains("\n")
            ? line.split(separator: "\n").joined(separator: "\\n") + "\n" : line + "\n"
    }

    private func json(_ event: LogEvent, _ fields: [(String, String)]) -> String {
        var line = "{\"time\":\"\(timestamp())\",\"level\":\"\(event.level.rawValue)\",\"label\":\(jsonQuoted(label))"
        line += ",\"message\":\(jsonQuoted(event.message.description))"
        if !fields.isEmpty {
            line += ",\"fields\":{" + fields.map { "\(jsonQuoted($0)):\(jsonQuoted($1))" }.joined(separator: ",") + "}"
        }
        return line + "}\n"
    }
}

/// The time in UTC, to the millisecond, as RFC 3339 writes it.
private func timestamp() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    gmtime_r(&now.tv_sec, &parts)
    let date = "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
    let time = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
    return "\(date)T\(time).\(padded(Int32(now.tv_nsec / 1_000_000), 3))Z"
}

private func padded(_ number: Int32, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

private func jsonQuoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 32:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
