// SPDX-License-Identifier: Apache-2.0
//
// PeerMessageEncoder.swift
// Messages of groups as bytes. Heads carry everything but the entries' stored bytes, which follow as they are.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Records

/// The kinds of message on the wire.
///
/// Heartbeats and their answers have frames of their own.
enum PeerMessageKind: UInt8 {
    case voteRequest = 1
    case voteResponse = 2
    case append = 3
    case appendResponse = 4
    case snapshot = 5
    case campaignNow = 6
}

/// Bits of a message's flags.
enum PeerMessageFlags {
    static let isPreVote: UInt8 = 1
    static let isTransfer: UInt8 = 2
    static let isGranted: UInt8 = 2
    static let isTrusted: UInt8 = 1
    static let isRejected: UInt8 = 2
    static let startsSegment: UInt8 = 1
}

/// Sizes of the fixed parts.
enum PeerMessageSize {
    /// Group, term, kind.
    static let prefix = 17
    /// One entry without its bytes.
    static let entry = 45
    /// The most a message without entries takes, but for configurations.
    static let fixedMax = 80
    /// Entries above this are refused: no payload is that large.
    static let entryBytesMax = Int(Int32.max)

    /// How many nodes a configuration names.
    static func members(_ configuration: Raft.Configuration) -> Int {
        configuration.voters.count + configuration.outgoing.count + configuration.learners.count
    }
}

extension PeerMessage {
    /// Bytes it takes on the wire, or a little more.
    var wireBytes: Int {
        switch body {
        case .append(let append):
            append.entries.reduce(PeerMessageSize.fixedMax) {
                $0 + PeerMessageSize.entry + $1.payload.readableBytes
            }
        case .snapshot(let info):
            PeerMessageSize.fixedMax + 4 * PeerMessageSize.members(info.configuration)
        default: PeerMessageSize.fixedMax
        }
    }

    /// Entries must not be in the way of votes and heartbeats.
    ///
    /// Appends without entries go with the others: ahead of them, they would be refused for a gap.
    var lane: PeerLane {
        if case .append = body { return .bulk }
        return .control
    }
}

/// Writes messages, other than heartbeats, into the head of a frame.
struct PeerMessageEncoder {
    /// The stored bytes of all entries so far, to follow the head.
    private(set) var payloads: [ByteBuffer] = []

    /// Writes one message.
    mutating func write(_ message: PeerMessage, to head: inout ByteBuffer) {
        head.write(message.group.rawValue)
        head.write(message.term.rawValue)
        switch message.body {
        case .voteRequest(let request):
            head.write(PeerMessageKind.voteRequest.rawValue)
            head.write(
                (request.isPreVote ? PeerMessageFlags.isPreVote : 0)
                    | (request.isTransfer ? PeerMessageFlags.isTransfer : 0))
            write(request.last, to: &head)
        case .voteResponse(let response):
            head.write(PeerMessageKind.voteResponse.rawValue)
            head.write(
                (response.isPreVote ? PeerMessageFlags.isPreVote : 0)
                    | (response.isGranted ? PeerMessageFlags.isGranted : 0))
        case .append(let append):
            head.write(PeerMessageKind.append.rawValue)
            write(append, to: &head)
        case .appendResponse(let response):
            head.write(PeerMessageKind.appendResponse.rawValue)
            write(response, to: &head)
        case .snapshot(let info):
            head.write(PeerMessageKind.snapshot.rawValue)
            write(info.position, to: &head)
            let configuration = info.configuration.encoded
            head.write(UInt32(configuration.count))
            head.writeBytes(configuration)
        case .campaignNow:
            head.write(PeerMessageKind.campaignNow.rawValue)
        case .heartbeat, .heartbeatResponse:
            preconditionFailure("a heartbeat of \(message.group) outside of a vector")
        }
    }

    private func write(_ position: Raft.Position, to head: inout ByteBuffer) {
        head.write(position.index.rawValue)
        head.write(position.term.rawValue)
    }

    private func write(_ response: Raft.AppendResponse, to head: inout ByteBuffer) {
        let flags =
            (response.isTrusted ? PeerMessageFlags.isTrusted : 0)
            | (response.rejection != nil ? PeerMessageFlags.isRejected : 0)
        head.writeMultipleIntegers(
            response.appended.rawValue, response.flushed.rawValue, response.session, flags, endianness: .little)
        guard let rejection = response.rejection else { return }
        head.write(rejection.previous.rawValue)
        write(rejection.hint, to: &head)
    }

    private mutating func write(_ append: PeerAppend, to head: inout ByteBuffer) {
        // One write for many fields: each one costs a check for exclusive access.
        head.writeMultipleIntegers(
            append.previous.index.rawValue, append.previous.term.rawValue, append.committed.rawValue, append.session,
            UInt32(append.entries.count), endianness: .little)
        var expected = append.previous.index
        for entry in append.entries {
            expected = expected.next
            precondition(entry.index == expected, "entry \(entry.index) where \(expected) belongs")
            write(entry, to: &head)
            if entry.payload.readableBytes > 0 { payloads.append(entry.payload) }
        }
    }

    private func write(_ entry: StoredEntry, to head: inout ByteBuffer) {
        head.writeMultipleIntegers(
            entry.kind.rawValue, entry.codec.rawValue,
            entry.startsSegment ? PeerMessageFlags.startsSegment : 0, entry.lead, entry.term.rawValue,
            entry.baseOffset.rawValue, entry.recordCount, entry.maxTimestamp, UInt32(entry.rawLength),
            UInt32(entry.payload.readableBytes), entry.checksum ?? CRC32C.checksum(entry.payload),
            endianness: .little)
    }
}
