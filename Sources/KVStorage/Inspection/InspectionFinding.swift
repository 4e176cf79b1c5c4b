/// A bit that, turned over, makes stored bytes what their checksum says.
package struct FlippedBit: Equatable, Sendable {
    /// The byte in the file.
    package var byte: UInt64
    /// The bit of that byte, 0 the lowest.
    package var bit: Int

    /// A bit of a byte.
    package init(byte: UInt64, bit: Int) {
        self.byte = byte
        self.bit = bit
    }
}

/// One thing that is wrong with a stored file, with what a person has to know about it.
package struct InspectionFinding: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package var file: String
    /// Where the bad bytes start.
    package var offset: UInt64
    /// How many there are.
    package var length: UInt64
    /// What was expected and what was found.
    package var what: String
    /// Which part of the file it is, such as "data block 3".
    package var part: String?
    /// The keys it concerns, stored form: the first of them.
    package var firstKey: [UInt8]?
    /// The last of them.
    package var lastKey: [UInt8]?
    /// The level of the table.
    package var level: Int?
    /// Whether the manifest names the file; nil where no manifest was looked at.
    package var isLive: Bool?
    /// The single bit that explains it.
    package var flip: FlippedBit?
    /// What is lost.
    package var lost: String?
    /// What to do next.
    package var next: String?
    /// Whether the disk could not be read, which says nothing about the bytes.
    package var isInputOutput = false

    /// A finding about `length` bytes at `offset` of `file`.
    package init(file: String, offset: UInt64, length: UInt64, what: String, part: String? = nil) {
        self.file = file
        self.offset = offset
        self.length = length
        self.what = what
        self.part = part
    }

    /// A file that could not be read.
    package init(unreadable file: String, _ what: String) {
        self.init(file: file, offset: 0, length: 0, what: what)
        isInputOutput = true
    }

    init(_ error: StorageError, _ path: String) {
        switch error {
        case .corruption(let file, let offset, let length, let what):
            self.init(file: file, offset: offset, length: length, what: what)
        case .file(let error): self.init(unreadable: error.path, "\(error)")
        default: self.init(file: path, offset: 0, length: 0, what: "\(error)")
        }
    }

    /// One line for a person.
    package var description: String { "\(file): bytes \(offset)..<\(offset &+ length): \(what)" }
}

/// What a look at all files of a closed tablet found.
package struct InspectionReport: Equatable, Sendable {
    /// What is wrong; empty where every byte that the manifest vouches for is good.
    package var findings: [InspectionFinding] = []
    /// What is worth knowing and no damage.
    package var notes: [String] = []
    /// The mark in the manifest.
    package var mark = TabletMark()
    /// Tables that were read.
    package var tableCount = 0
    /// Data blocks that were read.
    package var blockCount = 0
    /// Entries that were read.
    package var entryCount: UInt64 = 0
    /// Bytes of the files that were read.
    package var byteCount: UInt64 = 0
    /// Where a file ends in a write that was never acknowledged.
    package var tornTails: [String] = []

    /// A report of nothing.
    package init() {}
}
