// SPDX-License-Identifier: Apache-2.0
//
// PeerFrame.swift
// The unit on a connection between brokers. docs/PEER-PROTOCOL.md has the bytes.

internal import Model
internal import NIOCore

/// The kinds of frame; raw values are on the wire.
enum PeerFrameType: UInt8, Sendable, CaseIterable {
    case hello = 1
    case welcome = 2
    case messages = 3
    case heartbeats = 4
    case heartbeatReset = 5
    case request = 6
    case response = 7
    case leaders = 8
    case ping = 9
    case pong = 10
}

/// What a frame says.
enum PeerFrame: Sendable {
    /// The first frame of the side that connected.
    case hello(PeerHello)
    /// Its answer.
    case welcome(PeerWelcome)
    /// Messages of any number of groups.
    case messages([PeerMessage])
    /// The heartbeats, or their answers, of many groups.
    case heartbeats(HeartbeatVector)
    /// The receiver does not have the vector that changes refer to: the next one must be full.
    case heartbeatReset(slot: UInt8)
    /// A request.
    case request(id: UInt64, type: UInt16, timeoutMilliseconds: UInt32, body: ByteBuffer)
    /// Its answer; `body` is the error's text when the status is not ok.
    case response(id: UInt64, status: UInt8, body: ByteBuffer)
    /// Who leads.
    case leaders([GroupLeader])
    /// Asks for a sign of life.
    case ping
    /// Gives it.
    case pong
}

/// The layout all frames share, behind their length.
enum PeerFrameHeader {
    /// `GP`.
    static let magic: UInt16 = 0x5047
    /// The version of the layout; hello and welcome keep it for ever.
    static let version: UInt8 = 1
    /// Magic, version, type, flags, zero, length of the head, checksum.
    static let byteCount = 16
    /// What the checksum covers of the header; it covers the head too.
    static let checkedBytes = 12
    /// The length before each frame.
    static let lengthBytes = 4
}

/// Why bytes are no frame, or a frame makes no sense.
enum PeerFrameError: Error, Hashable, Sendable {
    /// Fewer bytes than the frame says it has.
    case truncated
    /// Not our protocol, perhaps one we can name.
    case foreign(String)
    case unknownVersion(UInt8)
    case unknownType(UInt8)
    case tooLarge(Int, limit: Int)
    /// The head does not match its checksum.
    case headChecksum
    /// Entry bytes, or those of a request, do not match their checksum.
    case payloadChecksum
    /// Checksums hold, but a value is none we would write.
    case malformed(String)
}

/// Who a broker is, as it introduces itself.
struct PeerIdentity: Sendable, Hashable {
    /// The cluster's id; empty while the broker does not know it.
    var clusterID: String
    var node: NodeID
    /// Drawn anew at each start of the process.
    var incarnation: UInt64
}

/// How a connection begins.
struct PeerHello: Sendable, Hashable {
    var identity: PeerIdentity
    /// The broker that is meant.
    var target: NodeID
    var versions: ClosedRange<UInt8>
    var lane: PeerLane
    /// Where others reach the sender.
    var address: PeerAddress
}

/// How it is answered.
struct PeerWelcome: Sendable, Hashable {
    /// Raw values are on the wire.
    enum Status: UInt8, Sendable, CaseIterable {
        case accepted = 0
        case wrongCluster = 1
        case wrongNode = 2
        case ownID = 3
        case unknownVersion = 4
        case wrongCertificate = 5
    }

    var status: Status
    var identity: PeerIdentity
    /// What both will speak; 0 with a refusal.
    var version: UInt8
}
