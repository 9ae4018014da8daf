// SPDX-License-Identifier: Apache-2.0
//
// PeerMessageDecoder.swift
// Messages of groups from the bytes of a frame. Believes nothing: what comes out of here Raft and the log may rely on.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Records

/// Reads the messages of one frame.
struct PeerMessageDecoder {
    /// The frame without its length.
    private let frame: ByteBuffer
    /// Where the bytes of the next entry begin, from the frame's start.
    private var payloadStart: Int
    private var position = 0

    /// Reads a frame whose entries' bytes begin at `payloadStart`.
    init(frame: ByteBuffer, payloadStart: Int) {
        self.frame = frame
        self.payloadStart = payloadStart
    }

    /// All messages of the frame.
    mutating func messages(_ head: RawSpan) throws(PeerFrameError) -> [PeerMessage] {
        let count = try head.readCount(bytesMin: PeerMessageSize.prefix, &position)
        var messages: [PeerMessage] = []
        messages.reserveCapacity(count)
        for _ in 0..<count { messages.append(try message(head)) }
        guard position == head.byteCount, payloadStart == frame.readableBytes else {
            throw .malformed("bytes behind the last message")
        }
        return messages
    }

    private mutating func message(_ head: RawSpan) throws(PeerFrameError) -> PeerMessage {
        let group = GroupID(rawValue: try head.read(&position))
        let term = try head.readTerm(&position)
        let raw = try head.read(UInt8.self, &position)
        guard let kind = PeerMessageKind(rawValue: raw) else { throw .malformed("message kind \(raw)") }
        let body: PeerMessage.Body
        switch kind {
        case .voteRequest:
            let flags = try head.read(UInt8.self, &position)
            body = .voteRequest(
                Raft.VoteRequest(
                    isPreVote: flags & PeerMessageFlags.isPreVote != 0, last: try place(head),
                    isTransfer: flags & PeerMessageFlags.isTransfer != 0))
        case .voteResponse:
            let flags = try head.read(UInt8.self, &position)
            body = .voteResponse(
                Raft.VoteResponse(
                    isPreVote: flags & PeerMessageFlags.isPreVote != 0,
                    isGranted: flags & PeerMessageFlags.isGranted != 0))
        case .append: body = .append(try append(head, of: term))
        case .appendResponse: body = .appendResponse(try appendResponse(head))
        case .snapshot: body = .snapshot(try snapshot(head))
        case .campaignNow: body = .campaignNow
        }
        return PeerMessage(group: group, term: term, body: body)
    }

    private mutating func place(_ head: RawSpan) throws(PeerFrameError) -> Raft.Position {
        let index = try head.readIndex(&position)
        return Raft.Position(index: index, term: try head.readTerm(&position))
    }

    private mutating func appendResponse(_ head: RawSpan) throws(PeerFrameError) -> Raft.AppendResponse {
        let appended = try head.readIndex(&position)
        let flushed = try head.readIndex(&position)
        let session = try head.read(UInt64.self, &position)
        let flags = try head.read(UInt8.self, &position)
        guard flushed <= appended else { throw .malformed("flushed \(flushed), appended \(appended)") }
        var rejection: Raft.AppendResponse.Rejection?
        if flags & PeerMessageFlags.isRejected != 0 {
            let previous = try head.readIndex(&position)
            rejection = Raft.AppendResponse.Rejection(previous: previous, hint: try place(head))
        }
        return Raft.AppendResponse(
            appended: appended, flushed: flushed, rejection: rejection,
            isTrusted: flags & PeerMessageFlags.isTrusted != 0, session: session)
    }

    private mutating func snapshot(_ head: RawSpan) throws(PeerFrameError) -> Raft.SnapshotInfo {
        let place = try self.place(head)
        let length = try head.readCount(bytesMin: 1, &position)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length)
        for _ in 0..<length { bytes.append(try head.read(UInt8.self, &position)) }
        guard let configuration = Raft.Configuration(decoding: bytes) else { throw .malformed("a configuration") }
        return Raft.SnapshotInfo(position: place, configuration: configuration)
    }

    // MARK: Entries

    private mutating func append(_ head: RawSpan, of term: Term) throws(PeerFrameError) -> PeerAppend {
        let previous = try place(head)
        let committed = try head.readIndex(&position)
        let session = try head.read(UInt64.self, &position)
        let count = try head.readCount(bytesMin: PeerMessageSize.entry, &position)
        var entries: [StoredEntry] = []
        entries.reserveCapacity(count)
        var last = previous
        for _ in 0..<count {
            let entry = try entry(head, after: last, in: term)
            last = Raft.Position(index: entry.index, term: entry.term)
            entries.append(entry)
        }
        return PeerAppend(previous: previous, committed: committed, session: session, entries: entries)
    }

    private mutating func entry(
        _ head: RawSpan, after last: Raft.Position, in term: Term
    ) throws(PeerFrameError) -> StoredEntry {
        let kind = FrameKind(rawValue: try head.read(UInt8.self, &position))
        let codec = FrameCodec(rawValue: try head.read(UInt8.self, &position))
        let flags = try head.read(UInt8.self, &position)
        let lead = try head.read(UInt16.self, &position)
        let entryTerm = try head.readTerm(&position)
        let baseOffset = try head.read(Int64.self, &position)
        let recordCount = try head.read(Int32.self, &position)
        let maxTimestamp = try head.read(Int64.self, &position)
        let rawLength = Int(try head.read(UInt32.self, &position))
        let storedLength = Int(try head.read(UInt32.self, &position))
        let checksum = try head.read(UInt32.self, &position)
        guard let kind, kind != .footer, let codec else { throw .malformed("kind or codec of an entry") }
        guard entryTerm >= last.term, entryTerm <= term else {
            throw .malformed("an entry of term \(entryTerm) after \(last) from a leader in \(term)")
        }
        guard baseOffset >= 0, recordCount >= 0, baseOffset <= Int64.max - Int64(Int32.max), lead < 4096,
            rawLength <= PeerMessageSize.entryBytesMax, last.index.rawValue < UInt64(Int64.max)
        else { throw .malformed("numbers of an entry after \(last)") }
        return StoredEntry(
            kind: kind, term: entryTerm, index: last.index.next, baseOffset: Offset(baseOffset),
            recordCount: recordCount, maxTimestamp: maxTimestamp, codec: codec, rawLength: rawLength, lead: lead,
            startsSegment: flags & PeerMessageFlags.startsSegment != 0,
            payload: try payload(length: storedLength, checksum: checksum), checksum: checksum)
    }

    /// The next entry's bytes: a slice of the frame, or a copy when a slice would keep much more memory than it needs.
    private mutating func payload(length: Int, checksum: UInt32) throws(PeerFrameError) -> ByteBuffer {
        guard length <= frame.readableBytes - payloadStart,
            let slice = frame.getSlice(at: frame.readerIndex + payloadStart, length: length)
        else { throw .truncated }
        payloadStart += length
        guard CRC32C.checksum(slice) == checksum else { throw .payloadChecksum }
        guard length > 0 else { return ByteBuffer() }
        return length >= frame.storageCapacity / Self.excessMax ? slice : ByteBuffer(copying: slice)
    }

    /// How many times its own size a slice may keep in memory.
    private static let excessMax = 4
}

extension ByteBuffer {
    /// The same bytes in memory of their own.
    init(copying other: ByteBuffer) {
        self = ByteBufferAllocator().buffer(capacity: other.readableBytes)
        writeImmutableBuffer(other)
    }
}
