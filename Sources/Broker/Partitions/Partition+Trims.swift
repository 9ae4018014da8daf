// SPDX-License-Identifier: Apache-2.0
//
// Partition+Trims.swift
// DeleteRecords on all replicas: an entry without records says from where on the log may be read, and each replica
// trims its own log when that entry is committed.

package import KafkaProtocol
import LogStore
import Logging
import Model
import NIOCore
import Replication
import Settings

/// A deletion on its way to the replicas.
struct PendingTrim {
    let index: LogIndex
    let offset: Offset
    /// Who asked, on the leader.
    let then: ((KafkaErrorCode, Int64) -> Void)?

    /// The deletion, after who asked was told that its fate is not known here.
    func withoutAsker(_ error: KafkaErrorCode) -> PendingTrim {
        then?(error, -1)
        return PendingTrim(index: index, offset: offset, then: nil)
    }
}

extension Partition {
    /// Deletes the records below `offset`; -1 stands for the high watermark.
    ///
    /// `then` gets the new low watermark, once a majority of the replicas knows of it.
    package func deleteRecords(
        before offset: Int64, then: @escaping (_ error: KafkaErrorCode, _ lowWatermark: Int64) -> Void
    ) {
        if let refusal { return then(refusal, -1) }
        guard configuration.cleanup.deletes else { return then(.policyViolation, -1) }
        let target = offset == -1 ? highWatermark : Offset(offset)
        guard offset >= -1, target <= highWatermark else { return then(.offsetOutOfRange, -1) }
        guard target > log.logStartOffset else { return then(.none, log.logStartOffset.rawValue) }
        guard isReplicated else { return trim(to: target, then) }
        replica.whenIdle { [self] in proposeTrim(to: target, then) }
    }

    private func proposeTrim(to target: Offset, _ then: @escaping (KafkaErrorCode, Int64) -> Void) {
        if let refusal { return then(refusal, -1) }
        // Offsets that are given to the open frame come after this entry.
        finish()
        guard open == nil else { return then(.requestTimedOut, -1) }
        let content = EntryContent(
            kind: .command, baseOffset: endOffset, recordCount: 0, maxTimestamp: -1,
            payload: TrimCommand(offset: target).encoded)
        let index = log.lastIndex.next
        trims.append(PendingTrim(index: index, offset: target, then: then))
        do {
            _ = try replica.propose(content)
        } catch {
            guard trims.last?.index == index else { return }
            trims.removeLast()
            then(ErrorMapping.code(of: error), -1)
        }
    }

    /// An entry of the leader that holds no records.
    func noteTrim(_ entry: StoredEntry) {
        guard let command = TrimCommand(decoding: entry.payload) else {
            return environment.logger.error(
                "An entry of the leader is not understood",
                metadata: ["topic": "\(handle.topic)", "partition": "\(handle.index)", "index": "\(entry.index)"])
        }
        trims.append(PendingTrim(index: entry.index, offset: command.offset, then: nil))
    }

    /// Carries out the deletions up to a committed entry.
    func applyTrims(upTo index: LogIndex) {
        while let first = trims.first, first.index <= index {
            trims.removeFirst()
            trim(to: min(first.offset, highWatermark)) { first.then?($0, $1) }
        }
    }

    private func trim(to target: Offset, _ then: (KafkaErrorCode, Int64) -> Void) {
        do {
            if target > log.logStartOffset { try log.trim(to: target, committed: replica.committed) }
        } catch {
            return then(ErrorMapping.code(of: error), -1)
        }
        noteCompaction()
        refreshStable()
        publish()
        wakeFetches(force: true)
        then(.none, log.logStartOffset.rawValue)
    }

    /// Forgets deletions that were cut with the log, or are behind a snapshot.
    func failTrims(from index: LogIndex = .zero) {
        while let last = trims.last, last.index >= index {
            trims.removeLast()
            last.then?(.notLeaderOrFollower, -1)
        }
    }
}

/// The payload of an entry that deletes records: version u8, offset i64.
struct TrimCommand: Equatable {
    private static let version: UInt8 = 1

    var offset: Offset

    var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(Self.version)
        buffer.writeInteger(offset.rawValue)
        return buffer
    }

    init(offset: Offset) { self.offset = offset }

    /// Nil for anything else than what ``encoded`` is.
    init?(decoding payload: ByteBuffer) {
        var payload = payload
        guard payload.readInteger(as: UInt8.self) == Self.version, let offset = payload.readInteger(as: Int64.self),
            payload.readableBytes == 0, offset >= 0
        else { return nil }
        self.offset = Offset(offset)
    }
}
