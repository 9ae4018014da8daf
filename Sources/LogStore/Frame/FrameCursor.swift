// SPDX-License-Identifier: Apache-2.0
//
// FrameCursor.swift
// Walks the frames of one segment in large reads. Decides nothing about what it finds.

internal import Model
internal import NIOCore
internal import Records

/// What stands at a position of a segment.
enum FrameFinding: Sendable {
    /// A frame whose header and payload are whole.
    case frame(FrameHeader, payload: ByteBuffer)
    /// A header that is whole, with a payload that is not all there or fails its checksum.
    case damagedPayload(FrameHeader)
    /// No header.
    case noHeader(HeaderProbe)
    /// The end of the file, or of the range.
    case end
}

/// Reads frames in order.
struct FrameCursor {
    let file: any File
    /// Where the next frame begins.
    private(set) var position: Int
    /// Where reading ends.
    let end: Int
    /// How much was read from the file.
    private(set) var bytesRead = 0
    private var chunk = ByteBuffer()
    private var chunkStart = 0
    private let chunkBytes: Int
    /// A frame that claims to be longer is none.
    static let frameBytesMax = 1 << 30

    /// Reads from `position` up to `end` in steps of about `chunkBytes`.
    init(_ file: any File, from position: Int, upTo end: Int, chunkBytes: Int = 256 << 10) {
        self.file = file
        self.position = position
        self.end = end
        self.chunkBytes = chunkBytes
        chunkStart = position
    }

    /// Looks at the frame at the present position without moving.
    mutating func peek() throws(StoreError) -> FrameFinding {
        guard position < end else { return .end }
        try load(FrameHeader.byteCount)
        let probe = FrameHeader.probe(chunk.readableBytesSpan, at: position - chunkStart)
        guard case .header(let header) = probe else { return .noHeader(probe) }
        guard header.frameBytes <= Self.frameBytesMax, position + header.frameBytes <= end else {
            return .damagedPayload(header)
        }
        try load(header.payloadStart + Int(header.storedLength))
        let start = position - chunkStart + header.payloadStart
        let stored = Int(header.storedLength)
        guard let payload = chunk.getSlice(at: chunk.readerIndex + start, length: stored),
            CRC32C.checksum(payload) == header.payloadCRC
        else { return .damagedPayload(header) }
        return .frame(header, payload: payload)
    }

    /// Moves behind a frame.
    mutating func skip(_ header: FrameHeader) { position += header.frameBytes }

    /// Moves to a later position.
    mutating func move(to position: Int) {
        precondition(position >= self.position, "a cursor does not go back")
        self.position = position
    }

    /// Makes `count` bytes from the present position on available, as far as the file has them.
    private mutating func load(_ count: Int) throws(StoreError) {
        if position >= chunkStart, position + count <= chunkStart + chunk.readableBytes { return }
        // A new buffer each time: slices of the last one may be in use.
        let wanted = min(max(count, chunkBytes), end - position)
        var fresh = ByteBuffer()
        fresh.reserveCapacity(wanted)
        bytesRead += try file.read(wanted, at: position, into: &fresh)
        chunk = fresh
        chunkStart = position
    }
}

extension FrameHeader {
    /// Unpacks a payload that was stored under this header.
    func unpack(_ payload: ByteBuffer, _ decompressor: ZstdDecompressor) throws(StoreError) -> ByteBuffer {
        guard codec == .zstd else { return payload }
        var raw = ByteBuffer()
        raw.reserveCapacity(Int(rawLength))
        do throws(RecordError) {
            try decompressor.decompress(payload.readableBytesSpan, into: &raw, rawLength: Int(rawLength))
        } catch {
            throw .corrupt(
                Corruption(
                    group: group, file: "", position: 0, index: index, offset: baseOffset,
                    reason: "the payload passes its checksum but cannot be unpacked: \(error)"))
        }
        return raw
    }

    /// The entry as followers get it; a compacted frame, which they never get, as the last of its entries.
    func entry(_ payload: ByteBuffer) -> StoredEntry {
        StoredEntry(
            kind: kind, term: term, index: lastIndex, baseOffset: baseOffset, recordCount: recordCount,
            maxTimestamp: maxTimestamp, codec: codec, rawLength: Int(rawLength),
            lead: lead, startsSegment: flags.contains(.startsSegment), payload: payload, checksum: payloadCRC)
    }
}
