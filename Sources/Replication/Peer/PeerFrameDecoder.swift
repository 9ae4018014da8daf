// SPDX-License-Identifier: Apache-2.0
//
// PeerFrameDecoder.swift
// Every kind of frame from bytes that may be anything: never traps, allocates nothing for what a length claims.

internal import Model
internal import NIOCore
internal import Records

/// Reads one frame at a time.
enum PeerFrameDecoder {
    /// The bytes of one leader: group, term, node.
    private static let leaderBytes = 20

    /// The frame that `bytes` is, all of it, without the length before it.
    static func decode(_ bytes: ByteBuffer) throws(PeerFrameError) -> PeerFrame {
        let span = bytes.readableBytesSpan
        let (type, headLength) = try header(span)
        let headEnd = PeerFrameHeader.byteCount + headLength
        let head = span.extracting(PeerFrameHeader.byteCount..<headEnd)
        switch type {
        case .messages:
            var decoder = PeerMessageDecoder(frame: bytes, payloadStart: headEnd)
            return .messages(try decoder.messages(head))
        case .request:
            var position = 0
            let id = try head.read(UInt64.self, &position)
            let type = try head.read(UInt16.self, &position)
            let timeout = try head.read(UInt32.self, &position)
            let body = try body(bytes, from: headEnd, head, &position)
            return .request(id: id, type: type, timeoutMilliseconds: timeout, body: body)
        case .response:
            var position = 0
            let id = try head.read(UInt64.self, &position)
            let status = try head.read(UInt8.self, &position)
            return .response(id: id, status: status, body: try body(bytes, from: headEnd, head, &position))
        default:
            guard headEnd == span.byteCount else { throw .malformed("bytes behind a head") }
            return try small(type, head)
        }
    }

    /// Checks the header and the head.
    private static func header(_ span: RawSpan) throws(PeerFrameError) -> (PeerFrameType, headLength: Int) {
        var position = 0
        guard span.byteCount >= PeerFrameHeader.byteCount else { throw .truncated }
        guard try span.read(UInt16.self, &position) == PeerFrameHeader.magic else { throw .foreign("") }
        let version = try span.read(UInt8.self, &position)
        let raw = try span.read(UInt8.self, &position)
        let reserved = try span.read(UInt32.self, &position)
        let headLength = Int(try span.read(UInt32.self, &position))
        let checksum = try span.read(UInt32.self, &position)
        guard headLength <= span.byteCount - PeerFrameHeader.byteCount else { throw .truncated }
        guard PeerOutput.headChecksum(span, at: 0, headLength: headLength) == checksum else { throw .headChecksum }
        guard version == PeerFrameHeader.version else { throw .unknownVersion(version) }
        guard let type = PeerFrameType(rawValue: raw) else { throw .unknownType(raw) }
        guard reserved == 0 else { throw .malformed("flags \(reserved)") }
        return (type, headLength)
    }

    private static func small(_ type: PeerFrameType, _ head: RawSpan) throws(PeerFrameError) -> PeerFrame {
        var position = 0
        let frame: PeerFrame
        switch type {
        case .hello: return .hello(try hello(head))
        case .welcome: return .welcome(try welcome(head))
        case .heartbeats: frame = .heartbeats(try HeartbeatVector(head, &position))
        case .heartbeatReset: frame = .heartbeatReset(slot: try head.read(&position))
        case .leaders: frame = .leaders(try leaders(head, &position))
        case .ping: frame = .ping
        case .pong: frame = .pong
        case .messages, .request, .response: preconditionFailure("\(type) has a body")
        }
        guard position == head.byteCount else { throw .malformed("bytes behind \(type)") }
        return frame
    }

    /// What follows the head, checked against the checksum that ends it.
    private static func body(
        _ bytes: ByteBuffer, from start: Int, _ head: RawSpan, _ position: inout Int
    ) throws(PeerFrameError) -> ByteBuffer {
        let checksum = try head.read(UInt32.self, &position)
        guard position == head.byteCount else { throw .malformed("bytes behind a head") }
        guard let body = bytes.getSlice(at: bytes.readerIndex + start, length: bytes.readableBytes - start) else {
            throw .truncated
        }
        guard CRC32C.checksum(body) == checksum else { throw .payloadChecksum }
        return body
    }

    // MARK: Introductions, which later versions may append to

    private static func hello(_ head: RawSpan) throws(PeerFrameError) -> PeerHello {
        var position = 0
        let first = try head.read(UInt8.self, &position)
        let last = try head.read(UInt8.self, &position)
        let lane = PeerLane(rawValue: try head.read(&position))
        let target = NodeID(rawValue: try head.read(&position))
        let identity = try identity(head, &position)
        let host = try head.readText(&position)
        let port = try head.read(UInt16.self, &position)
        guard let lane, first <= last else { throw .malformed("lane or versions of a hello") }
        return PeerHello(
            identity: identity, target: target, versions: first...last, lane: lane,
            address: PeerAddress(host: host, port: Int(port)))
    }

    private static func welcome(_ head: RawSpan) throws(PeerFrameError) -> PeerWelcome {
        var position = 0
        let raw = try head.read(UInt8.self, &position)
        let version = try head.read(UInt8.self, &position)
        guard let status = PeerWelcome.Status(rawValue: raw) else { throw .malformed("status \(raw)") }
        return PeerWelcome(status: status, identity: try identity(head, &position), version: version)
    }

    private static func identity(_ head: RawSpan, _ position: inout Int) throws(PeerFrameError) -> PeerIdentity {
        let node = try head.read(Int32.self, &position)
        let incarnation = try head.read(UInt64.self, &position)
        guard node >= 0 else { throw .malformed("broker \(node)") }
        return PeerIdentity(
            clusterID: try head.readText(&position), node: NodeID(rawValue: node), incarnation: incarnation)
    }

    private static func leaders(_ head: RawSpan, _ position: inout Int) throws(PeerFrameError) -> [GroupLeader] {
        let count = try head.readCount(bytesMin: leaderBytes, &position)
        var leaders: [GroupLeader] = []
        leaders.reserveCapacity(count)
        for _ in 0..<count {
            let group = GroupID(rawValue: try head.read(&position))
            let term = try head.readTerm(&position)
            let node = try head.read(Int32.self, &position)
            leaders.append(
                GroupLeader(group: group, term: term, leader: node < 0 ? nil : NodeID(rawValue: node)))
        }
        return leaders
    }
}
