import KVBase

/// What text turned into, or why it did not.
enum Parsed<Value> {
    case right(Value)
    /// What is wrong and what was expected; `nearest` is a valid text that may have been meant.
    case wrong(String, nearest: String?)
}

/// A value of a setting.
enum SettingValue: Equatable, Sendable {
    case flag(Bool)
    case count(Int)
    case bytes(Int)
    case duration(Duration)
    case text(String)
    case address(HostPort)
    case members([Member])
}

/// What a setting takes.
enum SettingKind: Sendable {
    case flag
    case count(ClosedRange<Int>)
    case bytes(ClosedRange<Int>)
    case duration(ClosedRange<Duration>)
    /// Text of 1 … this many bytes.
    case text(bytesMax: Int)
    case choice([String])
    case address
    case members

    /// What it takes, as documentation and errors say it.
    var expectation: String {
        switch self {
        case .flag: "true or false"
        case .count(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .bytes(let range): "a size from \(formatBytes(range.lowerBound)) to \(formatBytes(range.upperBound))"
        case .duration(let range):
            "a duration from \(formatDuration(range.lowerBound)) to \(formatDuration(range.upperBound))"
        case .text(let bytesMax): "text of 1 to \(bytesMax) bytes"
        case .choice(let names): "one of " + names.joined(separator: ", ")
        case .address: "host:port"
        case .members: "a list of {id, peer}"
        }
    }

    /// The value that a scalar of the file, a variable or a flag says.
    func parse(_ text: String) -> Parsed<SettingValue> {
        switch self {
        case .flag:
            switch text {
            case "true": return .right(.flag(true))
            case "false": return .right(.flag(false))
            default:
                return .wrong(
                    "\(quoted(text)) is no boolean; expected \(expectation)",
                    nearest: Self.boolean(like: text)
                )
            }
        case .count(let range):
            return parseCount(text, range)
        case .bytes(let range):
            return parseUnits(text, sizeUnits, range, "size", "64MiB").mapped { .bytes($0) }
        case .duration(let range):
            let units = parseUnits(
                text,
                durationUnits,
                milliseconds(range.lowerBound)...milliseconds(range.upperBound),
                "duration",
                "250ms"
            )
            return units.mapped { .duration(.milliseconds($0)) }
        case .text(let bytesMax):
            guard (1...bytesMax).contains(text.utf8.count) else {
                return .wrong("\(text.utf8.count) bytes of text; expected \(expectation)", nearest: nil)
            }
            return .right(.text(text))
        case .choice(let names):
            guard names.contains(text) else {
                return .wrong(
                    "\(quoted(text)) is no choice; expected \(expectation)",
                    nearest: nearestName(to: text, among: names)
                )
            }
            return .right(.text(text))
        case .address:
            return HostPort.parse(text).mapped { .address($0) }
        case .members:
            return Member.parseList(text).mapped { .members($0) }
        }
    }

    private static func boolean(like text: String) -> String? {
        switch text.lowercased() {
        case "yes", "on", "y", "1", "true": "true"
        case "no", "off", "n", "0", "false": "false"
        default: nil
        }
    }

    private func parseCount(_ text: String, _ range: ClosedRange<Int>) -> Parsed<SettingValue> {
        guard !text.isEmpty, text.utf8.allSatisfy(isDigit) else {
            return .wrong("\(quoted(text)) is no whole number; expected \(expectation)", nearest: nil)
        }
        guard let number = Int(text), range.contains(number) else {
            return .wrong("\(quoted(text)) is out of range; expected \(expectation)", nearest: nil)
        }
        return .right(.count(number))
    }

    private func parseUnits(
        _ text: String,
        _ units: [Unit],
        _ range: ClosedRange<Int>,
        _ noun: String,
        _ example: String
    ) -> Parsed<Int> {
        let digits = text.prefix { $0.utf8.allSatisfy(isDigit) }
        let suffix = String(text[digits.endIndex...])
        let names = units.map(\.name).joined(separator: ", ")
        guard !digits.isEmpty else {
            return .wrong(
                "\(quoted(text)) is no \(noun); expected a whole number with a unit, such as \(example)",
                nearest: nil
            )
        }
        guard let unit = units.first(where: { $0.name == suffix }) else {
            let meant = unitLike(suffix, units).map { "\(digits)\($0)" }
            let what = suffix.isEmpty ? "\(quoted(text)) has no unit" : "\(quoted(suffix)) is no unit of a \(noun)"
            return .wrong("\(what); expected one of \(names), such as \(example)", nearest: meant)
        }
        let (product, overflow) = (Int(digits) ?? .max).multipliedReportingOverflow(by: unit.factor)
        guard !overflow, range.contains(product) else {
            return .wrong("\(quoted(text)) is out of range; expected \(expectation)", nearest: nil)
        }
        return .right(product)
    }

    /// `64MB` and `64mb` mean MiB to most, `5sec` means s.
    private func unitLike(_ suffix: String, _ units: [Unit]) -> String? {
        guard let first = suffix.lowercased().first else { return nil }
        let lower = suffix.lowercased()
        return units.first { $0.name.lowercased() == lower }?.name ?? units.first { $0.synonyms.contains(lower) }?.name
            ?? (lower.count <= 3 ? units.first { $0.name.lowercased().first == first }?.name : nil)
    }
}

extension Parsed {
    /// The same with another value.
    func mapped<Other>(_ transform: (Value) -> Other) -> Parsed<Other> {
        switch self {
        case .right(let value): .right(transform(value))
        case .wrong(let what, let nearest): .wrong(what, nearest: nearest)
        }
    }
}

struct Unit: Sendable {
    let name: String
    let factor: Int
    let synonyms: [String]
}

/// In bytes.
let sizeUnits = [
    Unit(name: "B", factor: 1, synonyms: ["byte", "bytes"]),
    Unit(name: "KiB", factor: 1 << 10, synonyms: ["k", "kb"]),
    Unit(name: "MiB", factor: 1 << 20, synonyms: ["m", "mb"]),
    Unit(name: "GiB", factor: 1 << 30, synonyms: ["g", "gb"]),
    Unit(name: "TiB", factor: 1 << 40, synonyms: ["t", "tb"]),
]

/// In milliseconds.
let durationUnits = [
    Unit(name: "ms", factor: 1, synonyms: ["msec", "millis", "milliseconds"]),
    Unit(name: "s", factor: 1000, synonyms: ["sec", "secs", "second", "seconds"]),
    Unit(name: "m", factor: 60_000, synonyms: ["min", "mins", "minute", "minutes"]),
    Unit(name: "h", factor: 3_600_000, synonyms: ["hr", "hour", "hours"]),
]

/// Whole milliseconds of a duration.
/// - Precondition: it is not negative and below 292 million years.
func milliseconds(_ duration: Duration) -> Int {
    let (seconds, attoseconds) = duration.components
    return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
}

/// A size in the greatest unit that divides it.
func formatBytes(_ bytes: Int) -> String { format(bytes, sizeUnits) }

/// A duration in the greatest unit that divides it.
func formatDuration(_ duration: Duration) -> String { format(milliseconds(duration), durationUnits) }

private func format(_ number: Int, _ units: [Unit]) -> String {
    var best = units[0]
    for unit in units where number != 0 && number % unit.factor == 0 { best = unit }
    return "\(number / best.factor)\(best.name)"
}

extension SettingValue: CustomStringConvertible {
    /// As a variable or a flag would say it.
    var description: String {
        switch self {
        case .flag(let value): value ? "true" : "false"
        case .count(let value): String(value)
        case .bytes(let value): formatBytes(value)
        case .duration(let value): formatDuration(value)
        case .text(let value): value
        case .address(let value): value.description
        case .members(let list): list.map { "\($0.id)=\($0.peer)" }.joined(separator: ",")
        }
    }
}
