// SPDX-License-Identifier: Apache-2.0
//
// FrameOutput.swift
// The file of a segment that compaction writes: chain, positions, sparse entries, footer.

internal import Model
internal import NIOCore
internal import Records
internal import Synchronization
internal import Telemetry

/// Writes the frames of one compacted segment.
struct FrameOutput {
    let path: String
    /// The newest timestamp in it.
    private(set) var maxTimestamp: Int64 = -1
    private(set) var sparse: [SparseEntry] = []
    /// The checksum of the newest frame that was read.
    private(set) var lastSourceChecksum: UInt32 = 0
    private let core: StoreCore
    private let group: GroupID
    private let name: LogIndex
    private let file: any File
    private var writer = FrameWriter()
    private var segment: Segment?
    private var frames: [SealedFrame] = []
    private var waiting = 0
    private var position = 0
    private var allocated = 0
    private var previous: UInt32 = 0

    /// How much is gathered before it is written.
    private static let gatheredBytesMax = 1 << 20

    /// Begins the file that is to take the place of `sources`.
    init(_ core: StoreCore, _ group: GroupID, _ sources: ArraySlice<SegmentInfo>) throws(StoreError) {
        guard let first = sources.first else { preconditionFailure("no segments to compact") }
        self.core = core
        self.group = group
        let youngest = sources.map(\.segment.generation).reduce(0) { Segment.isYounger($1, than: $0) ? $1 : $0 }
        name = Segment.name(first.segment.base, generation: Segment.generation(after: youngest))
        let directory = Self.directory(core.settings.directory)
        try core.system.makeDirectory(directory)
        path = "\(directory)/\(group.rawValue)-\(Segment.fileName(name))"
        try core.system.remove(path)
        file = try core.system.open(path, .readWrite)
    }

    /// Where such files grow; what a start finds there is removed.
    static func directory(_ root: String) -> String { root + "/compacting" }

    /// Tells of the next frame that is read: the first one says what the segment continues.
    mutating func begin(with header: FrameHeader) {
        lastSourceChecksum = header.checksum
        guard segment == nil else { return }
        previous = header.previous
        segment = Segment(
            group: group, base: name, salt: FrameHeader.salt(group: group, base: name, term: header.term),
            root: core.settings.directory, state: Segment.State(allocated: 0, exists: true, isNamed: true))
    }

    /// Adds a frame made of `source`, that stands for `extent` entries behind its own.
    mutating func append(
        _ source: FrameHeader, extent: UInt64, _ payload: ByteBuffer, codec: FrameCodec
    ) throws(StoreError) {
        guard let segment else { preconditionFailure("a frame before any was read") }
        var header = source
        header.flags = position == 0 ? [.compacted, .startsSegment] : .compacted
        header.codec = codec
        header.salt = segment.salt
        header.extent = extent
        header.horizon = 0
        header.lead = 0
        header.storedLength = UInt32(payload.readableBytes)
        header.payloadCRC = CRC32C.checksum(payload)
        header.previous = previous
        header.seal()
        guard position + header.frameBytes < Int(UInt32.max) - FrameHeader.byteCount else {
            throw .index("the compacted segment \(segment.path) would be too large")
        }
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
        if SegmentInfo.isIndexed(position: position, frameBytes: header.frameBytes) {
            sparse.append(
                SparseEntry(
                    index: header.index, offset: header.baseOffset, position: UInt32(position),
                    maxTimestamp: maxTimestamp))
        }
        frames.append(
            SealedFrame(
                handle: nil, generation: 0, segment: segment, position: UInt32(position), header: header,
                payload: payload,
                isIndexed: false, maxTimestampSoFar: -1, startsTerm: false, meta: nil))
        previous = header.checksum
        position += header.frameBytes
        waiting += header.frameBytes
        if waiting >= Self.gatheredBytesMax { try write() }
    }

    private mutating func write() throws(StoreError) {
        try makeRoom(upTo: position)
        core.metrics.compactionBytesWritten.increment(
            by: try written { () throws(StoreError) in
                try writer.write(frames, to: file)
            })
        frames.removeAll(keepingCapacity: true)
        waiting = 0
    }

    /// Space is asked for before anything is written; who has none gives up, and nothing has happened.
    private mutating func makeRoom(upTo end: Int) throws(StoreError) {
        guard end > allocated else { return }
        if let error = core.reserveSpent { throw error }
        let size = Segment.allocation(for: end, allocated: allocated)
        do throws(StoreError) { try file.allocate(size) } catch {
            throw error.isNoSpace ? core.noSpace : error
        }
        allocated = size
    }

    /// A failed write or flush is final (rule R8).
    private func written<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        do throws(StoreError) { return try body() } catch {
            core.fail(error, during: "write a compacted segment")
            throw error
        }
    }

    /// Writes the footer, and makes the file durable.
    ///
    /// `chain` is what the frame behind the segment continues.
    mutating func close(
        first: SegmentInfo, last: SegmentInfo, newest: Int64, _ mark: CompactionMark, chain: UInt32
    ) throws(StoreError) -> SegmentInfo {
        guard let segment else { preconditionFailure("a segment without frames") }
        if !frames.isEmpty { try write() }
        var footer = FrameHeader(
            kind: .footer, codec: .none, flags: .compacted, group: group, salt: segment.salt, term: last.lastTerm,
            index: last.lastIndex, baseOffset: last.endOffset, maxTimestamp: newest, recordCount: 0, storedLength: 0,
            rawLength: chain, previous: previous, payloadCRC: 0)
        footer.extent = UInt64(bitPattern: mark.keysThrough.rawValue)
        footer.horizon = UInt64(max(0, mark.horizon ?? 0))
        footer.committed = mark.committed
        footer.seal()
        let end = position + footer.frameBytes
        try makeRoom(upTo: end)
        let (file, position, sealed) = (file, position, footer)
        let isFlushed = !core.mutates(.compactionUnflushed)
        try written { () throws(StoreError) in
            try file.writeFooter(sealed, at: position)
            try file.truncate(to: end)
            if isFlushed { try file.flush() }
        }
        segment.state.withLock { $0.allocated = end }
        return SegmentInfo(
            segment: segment, baseOffset: first.baseOffset, lastIndex: last.lastIndex, lastTerm: last.lastTerm,
            endOffset: last.endOffset, end: position, maxTimestamp: newest, openedAt: first.openedAt, isSealed: true,
            compacted: mark)
    }
}
