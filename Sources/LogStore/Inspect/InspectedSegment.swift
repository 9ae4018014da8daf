// SPDX-License-Identifier: Apache-2.0
//
// InspectedSegment.swift
// One segment file as a walk found it.

public import Model

/// One segment of a partition.
public struct InspectedSegment: Sendable, Hashable {
    /// How a segment ends.
    public enum End: String, Sendable, Hashable {
        /// It takes more frames.
        case active
        /// A footer closes it.
        case sealed
        /// Others follow, but its footer is not there.
        case noFooter = "no_footer"
        /// It is not there, or only in the journal so far.
        case absent
    }

    /// The index of its first entry, which names it.
    public let base: LogIndex
    /// How often compaction has rewritten what is in it; 0 for one that was appended to.
    public let generation: Int
    /// The file, below the data directory.
    public let file: String
    /// The length of the file.
    public let fileBytes: Int
    /// How it ends.
    public var end = End.active
    /// Bytes of its frames.
    public var frameBytes = 0
    /// How many frames it has.
    public var frames = 0
    /// The last entry in it.
    public var lastIndex: LogIndex
    /// The offset of its first record; nil when nothing of it can be read.
    public var baseOffset: Offset?
    /// The offset after its last record.
    public var endOffset: Offset?
    /// The newest timestamp of its first frame with records; -1 when it has none.
    public var firstTimestamp: Int64 = -1
    /// The newest timestamp in it; -1 when it has none.
    public var maxTimestamp: Int64 = -1
    /// Of a compacted one, the offset up to which its keys were compared.
    public var keysThrough: Offset?
    /// Of a compacted one, the last entry that was known to be committed then, where the footer says.
    public var committedThrough: LogIndex?

    init(_ name: LogIndex, file: String, fileBytes: Int?) {
        base = Segment.base(of: name)
        generation = Int(Segment.generation(of: name))
        self.file = file
        self.fileBytes = fileBytes ?? 0
        lastIndex = base.previous
        if fileBytes == nil { end = .absent }
    }

    /// Takes over what the footer of a compacted segment says.
    mutating func note(_ footer: FrameHeader) {
        guard footer.isCompacted else { return }
        keysThrough = Offset(Int64(bitPattern: footer.extent))
        committedThrough = footer.committed > .zero ? footer.committed : nil
    }

    mutating func take(_ header: FrameHeader) {
        frames += 1
        frameBytes += header.frameBytes
        lastIndex = header.lastIndex
        if baseOffset == nil { baseOffset = header.baseOffset }
        endOffset = header.endOffset
        if firstTimestamp < 0 { firstTimestamp = header.maxTimestamp }
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
    }
}
