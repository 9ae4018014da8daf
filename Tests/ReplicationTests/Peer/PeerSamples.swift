// SPDX-License-Identifier: Apache-2.0
//
// PeerSamples.swift
// Messages and frames of every kind, and their text to compare by.

import LogStore
import Model
import NIOCore
import Raft
import Records

@testable import Replication

enum PeerSamples {
    static let group = GroupID(rawValue: 1030)

    static func node(_ id: Int32) -> NodeID { NodeID(rawValue: id) }

    static func entry(
        _ index: UInt64, term: UInt64 = 3, kind: FrameKind = .data, payload: ByteBuffer, lead: UInt16 = 0,
        codec: FrameCodec = .none, startsSegment: Bool = false
    ) -> StoredEntry {
        StoredEntry(
            kind: kind, term: Term(term), index: LogIndex(index), baseOffset: Offset(Int64(index) * 10),
            recordCount: kind == .data ? 10 : 0, maxTimestamp: 1_700_000_000_000, codec: codec,
            rawLength: payload.readableBytes * (codec == .none ? 1 : 3), lead: lead, startsSegment: startsSegment,
            payload: payload, checksum: index.isMultiple(of: 2) ? CRC32C.checksum(payload) : nil)
    }

    static func append(_ entries: [StoredEntry], group: GroupID = group, after index: UInt64 = 6) -> PeerMessage {
        let append = PeerAppend(
            previous: Raft.Position(index: LogIndex(index), term: Term(2)), committed: LogIndex(5), session: 77,
            entries: entries)
        return PeerMessage(group: group, term: Term(4), body: .append(append))
    }

    static func bytes(_ count: Int, seed: UInt64 = 1) -> ByteBuffer {
        var random = SeededRandom(seed: seed)
        let words = (0..<(count + 7) / 8).map { _ in random.next() }
        // In one piece: a buffer that is written word by word takes a debug build seconds for a few megabytes.
        return words.withUnsafeBytes { ByteBuffer(bytes: $0.prefix(count)) }
    }

    /// Every kind of message but heartbeats.
    static let messages: [PeerMessage] = {
        let place = Raft.Position(index: LogIndex(9), term: Term(3))
        let configuration = Raft.Configuration(
            voters: [1, 2, 3].map(node), outgoing: [4, 5].map(node), learners: [4, 9].map(node))
        let bodies: [PeerMessage.Body] = [
            .voteRequest(Raft.VoteRequest(isPreVote: true, last: place, isTransfer: false)),
            .voteRequest(Raft.VoteRequest(isPreVote: false, last: .zero, isTransfer: true)),
            .voteResponse(Raft.VoteResponse(isPreVote: true, isGranted: false)),
            .voteResponse(Raft.VoteResponse(isPreVote: false, isGranted: true)),
            .appendResponse(
                Raft.AppendResponse(appended: LogIndex(9), flushed: LogIndex(4), isTrusted: true, session: 8)),
            .appendResponse(
                Raft.AppendResponse(
                    appended: LogIndex(4), flushed: LogIndex(4),
                    rejection: .init(previous: LogIndex(12), hint: place), isTrusted: false, session: .max)),
            .snapshot(Raft.SnapshotInfo(position: place, configuration: configuration)),
            .campaignNow,
        ]
        let plain = bodies.map { PeerMessage(group: group, term: Term(4), body: $0) }
        return plain + [
            append([]),
            append([
                entry(7, kind: .noop, payload: ByteBuffer()),
                entry(8, kind: .configuration, payload: ByteBuffer(bytes: configuration.encoded)),
                entry(9, payload: bytes(300), startsSegment: true),
                entry(10, term: 4, payload: bytes(20_000), lead: 4095, codec: .zstd),
                entry(11, term: 4, kind: .command, payload: bytes(1)),
            ]),
        ]
    }()

    static let identity = PeerIdentity(clusterID: "kluster", node: node(1), incarnation: 0xFEED)

    static let hello = PeerHello(
        identity: identity, target: node(2), versions: 1...1, lane: .bulk,
        address: PeerAddress(host: "127.0.0.1", port: 9192))

    static func rows(_ count: Int, round: UInt64 = 5) -> [HeartbeatRow] {
        (0..<count).map {
            HeartbeatRow(
                group: GroupID(rawValue: 1024 + UInt64($0) * 3), term: Term(2), value: UInt64($0) * 1000, round: round,
                session: 4)
        }
    }

    /// Every kind of frame.
    static let frames: [PeerFrame] = [
        .hello(hello), .welcome(PeerWelcome(status: .wrongCluster, identity: identity, version: 0)),
        .messages(messages), .messages([]),
        .heartbeats(HeartbeatVector(kind: .heartbeats, slot: 3, number: 9, content: .full(rows(40)))),
        .heartbeats(HeartbeatVector(kind: .answers, slot: 255, number: 0, content: .full([]))),
        .heartbeats(
            HeartbeatVector(
                kind: .heartbeats, slot: 31, number: .max,
                content: .changes(roundsUp: 2, [HeartbeatVector.Change(place: 17, row: rows(1)[0])]))),
        .heartbeatReset(slot: 3),
        .request(id: 12, type: 1006, timeoutMilliseconds: 30_000, body: bytes(9000)),
        .request(id: .max, type: 9, timeoutMilliseconds: 0, body: ByteBuffer()),
        .response(id: 12, status: 0, body: bytes(100)),
        .leaders([
            GroupLeader(group: group, term: Term(7), leader: node(3)),
            GroupLeader(group: .controller, term: Term(1), leader: nil),
        ]),
        .ping, .pong,
    ]

    // MARK: Text

    static func text(_ frame: PeerFrame) -> String {
        guard case .messages(let messages) = frame else {
            if case .heartbeats(let vector) = frame, case .changes(let up, let changes) = vector.content {
                // A change does not carry its group.
                let rows = changes.map { "\($0.place) \($0.row.term) \($0.row.value) \($0.row.round)" }
                return "\(vector.kind) \(vector.slot) \(vector.number) \(up) \(rows)"
            }
            if case .request(let id, let type, let timeout, let body) = frame {
                return "request \(id) \(type) \(timeout) \(text(body))"
            }
            if case .response(let id, let status, let body) = frame { return "response \(id) \(status) \(text(body))" }
            return "\(frame)"
        }
        return messages.map(text).joined(separator: "\n")
    }

    static func text(_ message: PeerMessage) -> String {
        guard case .append(let append) = message.body else { return "\(message)" }
        let entries = append.entries.map { entry in
            "\(entry.kind) \(entry.term) \(entry.index) \(entry.baseOffset) \(entry.recordCount) \(entry.maxTimestamp) "
                + "\(entry.codec) \(entry.rawLength) \(entry.lead) \(entry.startsSegment) \(text(entry.payload)) "
                + "\(entry.checksum ?? CRC32C.checksum(entry.payload))"
        }
        return "\(message.group) \(message.term) \(append.previous) \(append.committed) \(append.session) \(entries)"
    }

    static func text(_ buffer: ByteBuffer) -> String { "\(buffer.readableBytes):\(CRC32C.checksum(buffer))" }

    // MARK: Bytes

    /// A frame as it travels, in one piece and without its length.
    static func encoded(_ frame: PeerFrame) -> ByteBuffer {
        var output = PeerOutput()
        output.write(frame)
        var all = ByteBuffer()
        for piece in output.take() { all.writeImmutableBuffer(piece) }
        all.moveReaderIndex(forwardBy: PeerFrameHeader.lengthBytes)
        return all.slice()
    }
}
