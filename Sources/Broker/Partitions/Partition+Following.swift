// SPDX-License-Identifier: Apache-2.0
//
// Partition+Following.swift
// A partition whose leader is another broker: what the leader's entries, and cuts, do to offsets and producers; and how
// the producers' state is made whole again before this broker leads.

import DequeModule
import KafkaProtocol
package import LogStore
import Logging
package import Model
import NIOCore
package import Raft
import Records
import Replication

/// An entry that is not known to be committed and was not proposed in the present term; or a run of such entries.
struct FollowedFrame {
    /// The last entry of the run.
    let index: LogIndex
    /// The offset past it.
    let endOffset: Offset
    let bytes: Int
    /// Whether it stands for the entries before it that are not named themselves.
    let isRun: Bool
}

extension Partition {
    // MARK: What the log of a follower does

    /// An entry of the leader was handed to the log.
    package func replicaAppended(_ entry: StoredEntry) {
        guard entry.kind == .data else {
            if entry.kind == .command { noteTrim(entry) }
            return
        }
        precondition(
            entry.baseOffset == endOffset, "\(handle.group): entry at \(entry.baseOffset), end is \(endOffset)")
        endOffset = entry.endOffset
        following.append(
            FollowedFrame(
                index: entry.index, endOffset: entry.endOffset, bytes: entry.payload.readableBytes, isRun: false))
        replayProducers(of: entry)
    }

    /// The entries from `index` on were cut: they were never committed, and their offsets are given again.
    package func replicaTruncated(from index: LogIndex) {
        precondition(inFlight.isEmpty && open == nil, "\(handle.group) was cut while it led")
        var cutRun = false
        while let last = following.last, last.index >= index {
            following.removeLast()
            cutRun = cutRun || last.isRun
        }
        failTrims(from: index)
        endOffset = log.logEndOffset
        precondition(highWatermark <= endOffset, "\(handle.group): cut to \(endOffset) below \(highWatermark)")
        if cutRun, index > .zero {
            following.append(FollowedFrame(index: index.previous, endOffset: endOffset, bytes: 0, isRun: true))
        }
        if producersEnd > endOffset {
            unpacking.removeAll()
            cutProducers()
        } else if isReplaying {
            // What is being unpacked, or what a replay has read, may be what was cut.
            rebuildProducers()
        }
        refreshStable()
        wakeFetches(force: true)
        publish()
    }

    /// A snapshot took the place of the log: everything that was derived from it begins anew.
    package func replicaInstalled(_ position: Raft.Position) {
        following.removeAll()
        failTrims()
        endOffset = log.logEndOffset
        highWatermark = max(highWatermark, endOffset)
        restartProducers()
        refreshStable()
        wakeFetches(force: true)
        publish()
    }

    /// Moves the high watermark over followed entries up to `index`; returns how many bytes that were.
    func commitFollowed(upTo index: LogIndex) -> Int {
        var bytes = 0
        while let first = following.first, first.index <= index {
            following.removeFirst()
            highWatermark = max(highWatermark, first.endOffset)
            bytes += max(first.bytes, 1)
        }
        return bytes
    }

    // MARK: Roles

    /// What was proposed is a followed entry now: committed by the next leader, or cut by it.
    func stopLeading() {
        failWaiters(.notLeaderOrFollower, nil)
        for frame in inFlight {
            following.append(
                FollowedFrame(index: frame.index, endOffset: frame.endOffset, bytes: frame.bytes, isRun: false))
        }
        inFlight.removeAll()
        batcher = BatchController(limits: batcher.limits)
        // One that led without having been able to take records has still to come to what its log says.
        if !isReplaying { producersEnd = endOffset }
        if hasInexactProducers { restartProducers() }
        refreshStable()
        wakeFetches(force: true)
    }

    // MARK: Producers

    /// Whether the producers' state is behind the log.
    var isReplaying: Bool { rebuild != nil || !unpacking.isEmpty }

    /// Takes over the batches of an appended entry, unless a rebuild has to come that far first.
    ///
    /// A packed entry is unpacked on another thread, and those behind it wait for it.
    private func replayProducers(of entry: StoredEntry) {
        guard rebuild == nil, (unpacking.end ?? producersEnd) == entry.baseOffset else { return }
        let bytes = max(entry.rawLength, entry.payload.readableBytes)
        guard environment.validator.isAvailable, entry.codec == .zstd || !unpacking.isEmpty else {
            return unpacked(entry, environment.unpacker.unpack(entry))
        }
        // What does not fit is read from the log, when those on their way have come back.
        guard let ticket = unpacking.add(bytes: bytes, end: entry.endOffset) else { return }
        let home = NIOLoopBound(WeakPartition(self), eventLoop: environment.loop)
        let loop = environment.loop
        environment.validator.unpack(entry, of: handle.group) { payload in
            loop.execute {
                guard let partition = home.value.partition, partition.unpacking.finish(ticket, bytes: bytes) else {
                    return
                }
                partition.unpacked(entry, payload)
                if partition.unpacking.isEmpty, partition.rebuild == nil { partition.rebuildProducers() }
                partition.refreshStable()
            }
        }
    }

    private func unpacked(_ entry: StoredEntry, _ payload: ByteBuffer?) {
        guard let payload else { return rebuildProducers() }
        if !Plant.forgetProducers.isOn { replayProducers(payload, from: entry.baseOffset) }
        producersEnd = entry.endOffset
        producers.commit(upTo: highWatermark)
    }

    private func replayProducers(_ payload: ByteBuffer, from start: Offset) {
        let now = environment.clock.wallTime()
        var cursor = RecordBatchCursor(payload)
        while let batch = try? cursor.next() {
            if batch.baseOffset >= start { producers.replay(batch, at: now) }
        }
    }

    /// The log was cut below what the producers' state reflects.
    private func cutProducers() {
        switch producers.truncate(to: endOffset) {
        case .exact:
            producersEnd = endOffset
            rebuild = nil
        case .needsRebuild: restartProducers()
        }
    }

    /// Begins with the stored snapshot, or with nothing, and replays the rest of the log.
    private func restartProducers() {
        hasInexactProducers = false
        let replay = ProducerReplay(log, settings: producers.settings, now: environment.clock.wallTime())
        producers = replay.table
        producersEnd = replay.snapshotOffset
        producerSnapshotOffset = replay.snapshotOffset
        rebuildProducers()
    }

    /// Replays the log from where the producers' state ends, until both end at the same offset.
    private func rebuildProducers() {
        unpacking.removeAll()
        guard producersEnd < endOffset else {
            rebuild = nil
            return caughtUp()
        }
        rebuilds += 1
        let number = rebuilds
        rebuild = number
        log.replay(from: producersEnd) { [weak self] entry, payload in
            guard let self, rebuild == number, entry.endOffset > producersEnd else { return }
            replayProducers(payload, from: producersEnd)
            producersEnd = entry.endOffset
            producers.commit(upTo: highWatermark)
        } completion: { [weak self] result in
            guard let self, rebuild == number else { return }
            rebuild = nil
            switch result {
            case .success:
                rebuildProducers()
                refreshStable()
            case .failure(.closed): break
            case .failure(.outOfRange):
                // Retention has dropped what was to be read next.
                producersEnd = max(producersEnd, log.logStartOffset)
                rebuildProducers()
                refreshStable()
            case .failure(let error): replicaFailed(error)
            }
        }
    }

    private func caughtUp() {
        guard replica.leadingTerm != nil else { return }
        producers.expectStragglers()
        settle(nil)
    }
}

/// The entries of a follower's leader that are being unpacked, for the producers' state to follow.
///
/// Invariant: `bytes` is at most ``bytesMax``, or that of one entry.
struct UnpackQueue {
    /// Unpacked bytes that may be on their way.
    static let bytesMax = 16 << 20

    private(set) var count = 0
    private(set) var bytes = 0
    /// The offset past the last entry; nil when there is none.
    private(set) var end: Offset?
    private var generation: UInt64 = 0

    var isEmpty: Bool { count == 0 }

    /// Takes an entry; nil when there is no room for it.
    mutating func add(bytes added: Int, end newEnd: Offset) -> UInt64? {
        guard count == 0 || bytes + added <= Self.bytesMax else { return nil }
        count += 1
        bytes += added
        end = newEnd
        return generation
    }

    /// An entry has come back; false when nobody wants it any more.
    mutating func finish(_ ticket: UInt64, bytes finished: Int) -> Bool {
        guard ticket == generation else { return false }
        count -= 1
        bytes -= finished
        if count == 0 { end = nil }
        return true
    }

    /// Forgets those on their way.
    mutating func removeAll() {
        generation += 1
        (count, bytes, end) = (0, 0, nil)
    }
}

/// Unpacks entries of leaders; one for each thread, as its working memory is large.
package final class EntryUnpacker {
    private var decompressor: ZstdDecompressor?

    package init() {}

    /// The batches of a data entry; nil when they cannot be unpacked.
    func unpack(_ entry: StoredEntry) -> ByteBuffer? {
        guard entry.codec == .zstd else { return entry.payload }
        if decompressor == nil { decompressor = try? ZstdDecompressor() }
        var raw = ByteBuffer()
        raw.reserveCapacity(entry.rawLength)
        do {
            try decompressor?.decompress(entry.payload.readableBytesSpan, into: &raw, rawLength: entry.rawLength)
        } catch {
            return nil
        }
        return decompressor == nil ? nil : raw
    }
}
