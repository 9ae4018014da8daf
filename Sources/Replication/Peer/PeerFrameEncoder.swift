// SPDX-License-Identifier: Apache-2.0
//
// PeerFrameEncoder.swift
// Every kind of frame as bytes.

internal import Model
internal import NIOCore
internal import Records

extension PeerOutput {
    /// Messages of one frame beyond which another one is begun.
    static let frameBytesTarget = 1 << 20

    /// Appends a frame.
    mutating func write(_ frame: PeerFrame) {
        switch frame {
        case .hello(let hello): write(hello)
        case .welcome(let welcome): write(welcome)
        case .messages(let messages): write(messages[...])
        case .heartbeats(let vector): plain(.heartbeats) { head in vector.write(to: &head) }
        case .heartbeatReset(let slot): plain(.heartbeatReset) { head in head.write(slot) }
        case .request(let id, let type, let timeout, let body):
            withBody(.request, body) { head in
                head.write(id)
                head.write(type)
                head.write(timeout)
            }
        case .response(let id, let status, let body):
            withBody(.response, body) { head in
                head.write(id)
                head.write(status)
            }
        case .leaders(let leaders): write(leaders)
        case .ping: plain(.ping) { _ in }
        case .pong: plain(.pong) { _ in }
        }
    }

    /// Appends messages other than heartbeats, in frames of about ``frameBytesTarget``.
    mutating func write(_ messages: ArraySlice<PeerMessage>) {
        var rest = messages
        while !rest.isEmpty {
            var end = rest.startIndex
            var bytes = 0
            while end < rest.endIndex, bytes < Self.frameBytesTarget {
                bytes += rest[end].wireBytes
                end += 1
            }
            let part = rest[..<end]
            rest = rest[end...]
            frame(.messages) { head in
                var encoder = PeerMessageEncoder()
                head.write(UInt32(part.count))
                for message in part { encoder.write(message, to: &head) }
                return encoder.payloads
            }
        }
    }

    /// A frame that is all head.
    private mutating func plain(_ type: PeerFrameType, head write: (inout ByteBuffer) -> Void) {
        frame(type) { head in
            write(&head)
            return []
        }
    }

    /// A frame whose body has a checksum of its own, in the head's last four bytes.
    private mutating func withBody(_ type: PeerFrameType, _ body: ByteBuffer, head write: (inout ByteBuffer) -> Void) {
        frame(type) { head in
            write(&head)
            head.write(CRC32C.checksum(body))
            return body.readableBytes > 0 ? [body] : []
        }
    }

    private mutating func write(_ hello: PeerHello) {
        plain(.hello) { head in
            head.write(hello.versions.lowerBound)
            head.write(hello.versions.upperBound)
            head.write(hello.lane.rawValue)
            head.write(hello.target.rawValue)
            head.write(hello.identity)
            head.writeText(hello.address.host)
            head.write(UInt16(clamping: hello.address.port))
        }
    }

    private mutating func write(_ welcome: PeerWelcome) {
        plain(.welcome) { head in
            head.write(welcome.status.rawValue)
            head.write(welcome.version)
            head.write(welcome.identity)
        }
    }

    private mutating func write(_ leaders: [GroupLeader]) {
        plain(.leaders) { head in
            head.write(UInt32(leaders.count))
            for leader in leaders {
                head.write(leader.group.rawValue)
                head.write(leader.term.rawValue)
                head.write(leader.leader?.rawValue ?? -1)
            }
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ identity: PeerIdentity) {
        write(identity.node.rawValue)
        write(identity.incarnation)
        writeText(identity.clusterID)
    }
}
