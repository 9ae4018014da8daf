// SPDX-License-Identifier: Apache-2.0
//
// Broker+ShareState.swift
// How leaders of partitions reach the coordinator of share groups, here or at another broker.

import KafkaProtocol
import Model
import NIOCore
import Replication

/// A question to the coordinator of a share group.
///
///     version u8 | kind u8 | key, leader epoch i32 (1: read) or change (2: write)
enum ShareStateRequest: Hashable, Sendable {
    /// What a leader that begins has to know.
    case read(ShareKey, leaderEpoch: Int32)
    /// What a leader wants kept.
    case write(ShareStateChange)

    private static let version: UInt8 = 1

    func encoded() -> ByteBuffer {
        var writer = BinaryWriter([Self.version])
        switch self {
        case .read(let key, let leaderEpoch):
            writer.write(UInt8(1))
            key.encode(to: &writer)
            writer.write(leaderEpoch)
        case .write(let change):
            writer.write(UInt8(2))
            change.encode(to: &writer)
        }
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Reads what ``encoded()`` wrote.
    init(decoding buffer: ByteBuffer) throws(BinaryCodingError) {
        var reader = BinaryReader(Array(buffer.readableBytesView))
        let found = try reader.readInteger(UInt8.self)
        guard found == Self.version else { throw .unknownVersion(found) }
        let kind = try reader.readInteger(UInt8.self)
        switch kind {
        case 1: self = .read(try ShareKey(from: &reader), leaderEpoch: try reader.readInteger(Int32.self))
        case 2: self = .write(try ShareStateChange(from: &reader))
        default: throw .unknownKind(kind)
        }
        try reader.finish()
    }

    /// An answer: an error code as i16, and the state when that is 0.
    static func encode(_ outcome: ShareStateOutcome) -> ByteBuffer {
        var writer = BinaryWriter()
        switch outcome {
        case .success(let state):
            writer.write(KafkaErrorCode.none.rawValue)
            state.encode(to: &writer)
        case .failure(let code): writer.write(code.rawValue)
        }
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Reads an answer; one that cannot be read is as good as none.
    static func decodeOutcome(_ buffer: ByteBuffer) -> ShareStateOutcome {
        do throws(BinaryCodingError) {
            var reader = BinaryReader(Array(buffer.readableBytesView))
            let code = KafkaErrorCode(rawValue: try reader.readInteger(Int16.self)) ?? .unknownServerError
            guard code == .none else { return .failure(code) }
            let state = try ShareState(from: &reader)
            try reader.finish()
            return .success(state)
        } catch {
            return .failure(.unknownServerError)
        }
    }
}

/// The states of share groups with their coordinator, as any broker reaches it.
struct CoordinatedShareStates: ShareStateStore {
    /// Asks the coordinator, wherever it is.
    let ask: @Sendable (ShareStateRequest, @escaping @Sendable (ShareStateOutcome) -> Void) -> Void

    func read(
        _ key: ShareKey, leaderEpoch: Int32, _ done: @escaping @Sendable (Result<ShareState, KafkaErrorCode>) -> Void
    ) {
        ask(.read(key, leaderEpoch: leaderEpoch), done)
    }

    func write(_ change: ShareStateChange, _ done: @escaping @Sendable (Result<Void, KafkaErrorCode>) -> Void) {
        ask(.write(change)) { outcome in done(outcome.map { _ in }) }
    }
}

extension Broker {
    /// How long another broker may take.
    private static let shareStateTimeout = Duration.seconds(10)

    /// Where leaders of partitions on this broker keep the states of share groups.
    var shareStates: CoordinatedShareStates {
        CoordinatedShareStates { [weak self] request, then in
            guard let self else { return then(.failure(.coordinatorNotAvailable)) }
            home.execute { self.askShareCoordinator(request, then) }
        }
    }

    /// Asks the leader of the coordinator's group; on the first loop.
    private func askShareCoordinator(
        _ request: ShareStateRequest, _ then: @escaping @Sendable (ShareStateOutcome) -> Void
    ) {
        let leader = isAlone ? node : shards.shard(on: home).leaders[.coordinator]?.leader
        guard let leader else { return then(.failure(.coordinatorNotAvailable)) }
        if leader == node { return serve(request, then) }
        guard let link = forwarder?.link else { return then(.failure(.coordinatorNotAvailable)) }
        link.call(.shareState, request.encoded(), to: leader, timeout: Self.shareStateTimeout) { result in
            switch result {
            case .success(let answer): then(ShareStateRequest.decodeOutcome(answer))
            case .failure(.timedOut): then(.failure(.requestTimedOut))
            case .failure(.tooLarge): then(.failure(.recordListTooLarge))
            case .failure(.disconnected): then(.failure(.networkException))
            case .failure: then(.failure(.coordinatorNotAvailable))
            }
        }
    }

    /// Serves a leader of a partition, here or at another broker.
    private func serve(_ request: ShareStateRequest, _ then: @escaping @Sendable (ShareStateOutcome) -> Void) {
        withCoordinator { coordinator in
            switch request {
            case .read(let key, let leaderEpoch):
                coordinator.leadShareState(key, leaderEpoch: leaderEpoch, then: then)
            case .write(let change): coordinator.writeShareState(change, then: then)
            }
        }
    }

    /// Serves another broker; on any thread.
    func serveShareState(
        _ body: ByteBuffer, answer: @escaping @Sendable (Result<ByteBuffer, PeerCallError>) -> Void
    ) {
        do throws(BinaryCodingError) {
            serve(try ShareStateRequest(decoding: body)) { answer(.success(ShareStateRequest.encode($0))) }
        } catch {
            answer(.failure(.failed("malformed request: \(error)")))
        }
    }
}

extension ShareKey {
    /// Reads `groupId:topicId:partition`, the key by which coordinators of type "share" are looked up; a group id may
    /// have colons itself.
    init?(coordinatorKey: String) {
        let parts = coordinatorKey.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, let partition = parts.last.flatMap({ Int32($0) }), partition >= 0,
            let topicID = TopicID(base64URL: parts[parts.count - 2])
        else { return nil }
        let groupID = parts.dropLast(2).joined(separator: ":")
        guard !groupID.isEmpty else { return nil }
        self.init(groupID: groupID, topicID: topicID, partition: partition)
    }
}

extension TopicID {
    /// Reads what ``description`` writes; nil for anything else.
    fileprivate init?(base64URL text: Substring) {
        guard text.utf8.count == 22 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for (place, byte) in text.utf8.enumerated() {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
            case UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "_"): value = 63
            default: return nil
            }
            // The last digit has two bits of the id, behind which there are none.
            let bits: UInt64 = place == 21 ? 2 : 6
            high = high << bits | low >> (64 - bits)
            low = low << bits | UInt64(value) >> (6 - bits)
        }
        self.init(high: high, low: low)
        guard description == text else { return nil }
    }
}
