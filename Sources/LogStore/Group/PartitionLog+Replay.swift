// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Replay.swift
// Passes stored entries by once more, for state that is built from them.

public import Model
public import NIOCore
internal import Records

extension PartitionLog {
    /// How much is read at a time.
    private static let replayBytes = 1 << 20

    /// Passes every data entry that holds records at or after `offset` to `body`, in order and unpacked, up to the end
    /// that the log has now; then calls `completion`.
    ///
    /// Both run on the owner's loop, which is not blocked in between.
    public func replay(
        from offset: Offset, each body: @escaping (StoredEntry, ByteBuffer) -> Void,
        completion: @escaping (Result<Void, StoreError>) -> Void
    ) {
        guard let info = segments.first(where: { $0.endOffset > offset }), !isClosed else {
            return later { completion(.success(())) }
        }
        let start = index(before: offset, in: info)
        let unpacker = try? ZstdDecompressor()
        replay(from: start, through: lastIndex, completion: completion) { entry in
            guard entry.kind == .data, entry.endOffset > offset else { return true }
            guard entry.codec == .zstd else {
                body(entry, entry.payload)
                return true
            }
            var raw = ByteBuffer()
            guard let unpacker,
                (try? unpacker.decompress(entry.payload.readableBytesSpan, into: &raw, rawLength: entry.rawLength))
                    != nil
            else { return false }
            body(entry, raw)
            return true
        }
    }

    /// The index of an entry at or before the one that holds `offset`, and not far before it.
    ///
    /// - Cost: one lookup in the index database when the segment is sealed. Without an answer it is the segment's first.
    private func index(before offset: Offset, in info: SegmentInfo) -> LogIndex {
        let after = info.sparse.partitioningIndex { $0.offset > offset }
        if after > 0 { return info.sparse[after - 1].index }
        guard info.isSealed, let found = try? core.index.offsetIndexFloor(of: id, offset: offset),
            found.at.segment == info.segment.name
        else { return info.segment.base }
        return found.index
    }

    private func replay(
        from index: LogIndex, through last: LogIndex, completion: @escaping (Result<Void, StoreError>) -> Void,
        _ take: @escaping (StoredEntry) -> Bool
    ) {
        guard index <= last else { return later { completion(.success(())) } }
        readFrames(from: index, through: last, maxBytes: Self.replayBytes) { [weak self] answer in
            guard let self else { return completion(.failure(.closed)) }
            switch answer {
            case .failure(let error): completion(.failure(error))
            case .success(let entries):
                for entry in entries where !take(entry) {
                    return completion(.failure(.corrupt(damage(at: entry))))
                }
                guard let next = entries.last?.index.next else {
                    return completion(.failure(.outOfRange(first: firstIndex, last: lastIndex)))
                }
                replay(from: next, through: last, completion: completion, take)
            }
        }
    }

    private func damage(at entry: StoredEntry) -> Corruption {
        Corruption(
            group: id, file: "", position: 0, index: entry.index, offset: entry.baseOffset,
            reason: "the payload passes its checksum but cannot be unpacked")
    }
}

extension StoredEntry {
    /// The offset after its last record.
    public var endOffset: Offset { baseOffset + Int(recordCount) }
}
