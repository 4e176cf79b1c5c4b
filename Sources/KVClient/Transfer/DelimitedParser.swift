/// Reads TSV and CSV records from bytes that come in pieces of any size.
///
/// | state \ byte   | delimiter | quote          | line feed     | other       |
/// |----------------|-----------|----------------|---------------|-------------|
/// | recordStart    | column    | → quoted (CSV) | blank: skip   | → column    |
/// | columnStart    | column    | → quoted (CSV) | record        | → column    |
/// | column         | column    | literal        | record        | literal     |
/// | quoted         | literal   | → quoteInside  | literal       | literal     |
/// | quoteInside    | column    | literal quote  | record        | error       |
/// | comment        |           |                | → recordStart |             |
///
/// CR before a line feed belongs to the line end, elsewhere to the column. A byte-order mark at the start is passed over.
struct DelimitedParser {
    private enum State {
        case recordStart
        case columnStart
        case column
        case quoted
        case quoteInside
        case comment
    }

    private let delimiter: UInt8
    private let quote: UInt8?
    private let comment: UInt8?
    private let bytesMax: Int

    private var input: [UInt8] = []
    private var position = 0
    private var head: [UInt8]? = []
    private var isFinished = false
    private var state = State.recordStart
    private var sawReturn = false
    private var currentLine: UInt64 = 1

    /// The columns' bytes, one behind the other, once `next` said true.
    private(set) var bytes: [UInt8] = []
    /// Where each column ends in `bytes`.
    private(set) var ends: [Int] = []
    /// The line on which the record starts.
    private(set) var line: UInt64 = 1
    private var isWhole = false

    init(delimiter: UInt8, quote: UInt8?, comment: UInt8?, bytesMax: Int = ClientLimits.recordBytesMax) {
        self.delimiter = delimiter
        self.quote = quote
        self.comment = comment
        self.bytesMax = bytesMax
    }

    /// Gives the next piece; what came before must have been read to its end.
    mutating func feed(_ piece: [UInt8]) {
        precondition(position == input.count, "\(input.count - position) bytes are still unread")
        guard let held = head else {
            input = piece
            position = 0
            return
        }
        let start = held + piece
        if start.count < 3 {
            head = start
        } else {
            head = nil
            input = start
            position = start.starts(with: byteOrderMark) ? 3 : 0
        }
    }

    /// Says that nothing follows.
    mutating func finish() {
        isFinished = true
        if let held = head {
            head = nil
            input = held
            position = 0
        }
    }

    /// How many columns the record has.
    var count: Int { ends.count }

    /// One column's bytes.
    func column(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// Reads on to the end of the next record; false where more bytes are needed, or none follow.
    /// - Throws: `unclosedQuote`, `textAfterQuote`, `tooLong`.
    mutating func next() throws(RecordError) -> Bool {
        if isWhole { startRecord() }
        while position < input.count {
            let byte = input[position]
            position += 1
            if sawReturn {
                sawReturn = false
                if byte != lineFeed {
                    guard state != .quoteInside else { throw .textAfterQuote(line: line) }
                    try take(carriageReturn)
                }
            } else if byte == carriageReturn, state != .quoted, state != .comment {
                sawReturn = true
                if state == .recordStart { line = currentLine }
                continue
            }
            if byte == carriageReturn, state != .quoted, state != .comment {
                // Two in a row: the first was taken as text, this one may end the line.
                sawReturn = true
                continue
            }
            if try step(byte) {
                isWhole = true
                return true
            }
        }
        guard isFinished else { return false }
        return try end()
    }

    /// One byte; true where it completes a record.
    private mutating func step(_ byte: UInt8) throws(RecordError) -> Bool {
        switch state {
        case .comment:
            if byte == lineFeed {
                currentLine += 1
                state = .recordStart
            }
        case .quoted:
            if byte == quote {
                state = .quoteInside
            } else {
                if byte == lineFeed { currentLine += 1 }
                try append(byte)
            }
        case .recordStart where byte == lineFeed:
            currentLine += 1
        case .recordStart where byte == comment:
            state = .comment
        case .recordStart, .columnStart, .column, .quoteInside:
            if state == .recordStart { line = currentLine }
            if byte == lineFeed {
                currentLine += 1
                ends.append(bytes.count)
                return true
            } else if byte == delimiter {
                ends.append(bytes.count)
                state = .columnStart
            } else {
                try take(byte)
            }
        }
        return false
    }

    /// A byte of a column outside quotes, or the quote that opens or doubles.
    private mutating func take(_ byte: UInt8) throws(RecordError) {
        if byte == quote {
            switch state {
            case .recordStart, .columnStart:
                state = .quoted
                return
            case .quoteInside:
                state = .quoted
                return try append(byte)
            default: break
            }
        }
        guard state != .quoteInside else { throw .textAfterQuote(line: line) }
        state = .column
        try append(byte)
    }

    private mutating func append(_ byte: UInt8) throws(RecordError) {
        guard bytes.count < bytesMax else { throw .tooLong(line: line, bytesMax: bytesMax) }
        bytes.append(byte)
    }

    private mutating func end() throws(RecordError) -> Bool {
        guard state != .quoted else { throw .unclosedQuote(line: line) }
        // A lone CR at the very end is half a line end.
        sawReturn = false
        guard state != .recordStart, state != .comment else { return false }
        ends.append(bytes.count)
        isWhole = true
        return true
    }

    private mutating func startRecord() {
        isWhole = false
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        state = .recordStart
    }
}

let lineFeed = UInt8(ascii: "\n")
let carriageReturn = UInt8(ascii: "\r")
let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]
