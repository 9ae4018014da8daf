// SPDX-License-Identifier: Apache-2.0
//
// ReadCache.swift
// Frames that were read from disk lately, unpacked, for consumers that read the same stretch.

internal import Model
internal import NIOCore
internal import Synchronization

/// A frame with its payload unpacked, and where the next one begins.
struct DecodedFrame: Sendable {
    let header: FrameHeader
    /// The raw payload.
    let payload: ByteBuffer
    /// The name of the segment it is in.
    let segment: LogIndex
    /// The position behind it.
    let endPosition: Int
}

/// A least-recently-used cache of decoded frames with a byte budget.
///
/// Any thread.
final class ReadCache: Sendable {
    /// A frame by the offset it begins at, which is where the next read of a sequential consumer begins.
    struct Key: Hashable, Sendable {
        let group: GroupID
        let offset: Offset
    }

    private struct Entry: Sendable {
        var frame: DecodedFrame
        var used: UInt64
    }

    private struct State: Sendable {
        var entries: [Key: Entry] = [:]
        /// Where frames end that are held.
        var ends: Set<Key> = []
        var bytes = 0
        var uses: UInt64 = 0
    }

    private let budget: Int
    private let state = Mutex(State())

    init(budget: Int) { self.budget = budget }

    /// The bytes held.
    var balance: Int { state.withLock { $0.bytes } }

    /// The frame of `group` that begins at `offset`.
    func frame(_ group: GroupID, at offset: Offset) -> DecodedFrame? {
        state.withLock { state in
            state.uses += 1
            let key = Key(group: group, offset: offset)
            state.entries[key]?.used = state.uses
            return state.entries[key]?.frame
        }
    }

    /// Whether a read at `offset` goes on where another one ended, and its own frame is held by now.
    func isSequential(_ group: GroupID, at offset: Offset) -> Bool {
        let key = Key(group: group, offset: offset)
        return state.withLock { $0.entries[key] != nil && $0.ends.contains(key) }
    }

    /// Keeps `frames`, which must hold records, and drops what was not used for longest.
    func keep(_ frames: [DecodedFrame]) {
        state.withLock { state in
            for frame in frames where frame.header.recordCount > 0 {
                let key = Key(group: frame.header.group, offset: frame.header.baseOffset)
                state.uses += 1
                let old = state.entries.updateValue(Entry(frame: frame, used: state.uses), forKey: key)
                if let old { state.ends.remove(Self.end(old.frame)) }
                state.ends.insert(Self.end(frame))
                state.bytes += Self.cost(frame) - (old.map { Self.cost($0.frame) } ?? 0)
            }
            if state.bytes > budget { Self.shrink(&state, to: budget - budget / 4) }
        }
    }

    /// Drops the frames of `group` from `index` on; of the whole group by default.
    func drop(_ group: GroupID, from index: LogIndex = .zero) {
        state.withLock { state in
            for (key, entry) in state.entries where key.group == group && entry.frame.header.index >= index {
                Self.remove(key, entry, &state)
            }
        }
    }

    private static func cost(_ frame: DecodedFrame) -> Int { frame.payload.readableBytes + 256 }

    private static func end(_ frame: DecodedFrame) -> Key {
        Key(group: frame.header.group, offset: frame.header.endOffset)
    }

    private static func remove(_ key: Key, _ entry: Entry, _ state: inout State) {
        state.entries.removeValue(forKey: key)
        state.ends.remove(end(entry.frame))
        state.bytes -= cost(entry.frame)
    }

    /// Makes room for many reads at once, so that sorting is rare.
    private static func shrink(_ state: inout State, to target: Int) {
        for (key, entry) in state.entries.sorted(by: { $0.value.used < $1.value.used }) {
            guard state.bytes > max(0, target) else { return }
            remove(key, entry, &state)
        }
    }
}
