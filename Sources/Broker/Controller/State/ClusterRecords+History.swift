// SPDX-License-Identifier: Apache-2.0
//
// ClusterRecords+History.swift
// The operation log in the store: every applied entry by its number, and the state it can be replayed from.

package import LogStore
import Model
import Replication

/// Keys and values of the history, in the same column family.
///
///     'h' operation u64       version u8, count u32, (key bytes, value bytes)…: the whole state after that operation
///     'o' operation u64       the entry as it stands in the log
///
/// With every ``historyStep`` operations the state is written whole, and what came before the last but one such state is
/// dropped. A state that is older than the history is written before its first operation.
extension ClusterRecords {
    /// Operations between two whole states; the history holds between one and two times as many.
    static let historyStep: UInt64 = 16_384

    /// What has to be stored before the first operation that is recorded: the state it begins from, unless that is empty.
    static func historyBase(before state: ClusterState) -> [StateWrite] {
        guard state.lastOperation == 0, state != ClusterState() else { return [] }
        return [StateWrite(key: historyKey("h", 0), value: whole(state))]
    }

    /// What the history stores of an operation, which gave `state`.
    static func history(of operation: ClusterOperation, state: ClusterState) -> [StateWrite] {
        var writes = [StateWrite(key: historyKey("o", operation.id), value: operation.entry.encoded())]
        guard operation.id % historyStep == 0 else { return writes }
        writes.append(StateWrite(key: historyKey("h", operation.id), value: whole(state)))
        guard operation.id >= 2 * historyStep else { return writes }
        let kept = operation.id - historyStep
        writes.append(StateWrite(key: historyKey("h", kept - historyStep), value: nil))
        for id in kept - historyStep + 1...kept { writes.append(StateWrite(key: historyKey("o", id), value: nil)) }
        return writes
    }

    /// The recorded history: the oldest state, and up to `limit` operations after the operation `after`.
    ///
    /// With `after` nil all operations since the oldest state; reads from the disk.
    package static func history(
        from index: IndexDatabase, after: UInt64? = nil, limit: Int = .max
    ) throws(StoreError) -> OperationHistory {
        var reader = HistoryReader(after: after, limit: limit)
        var damage: BinaryCodingError?
        do {
            try index.scan(in: .controller, of: .controller) { key, value in
                do throws(BinaryCodingError) { try reader.take(key, value) } catch { damage = error }
                return damage == nil
            }
        } catch {
            throw .index("\(error)")
        }
        do throws(BinaryCodingError) {
            if let damage { throw damage }
            return try reader.finish()
        } catch {
            throw .index("the history of the controller is damaged: \(error)")
        }
    }

    /// Whether a key belongs to the history and not to the present state.
    static func isHistory(_ key: [UInt8]) -> Bool {
        key.first == UInt8(ascii: "h") || key.first == UInt8(ascii: "o")
    }

    // MARK: Coding

    private static func historyKey(_ kind: Character, _ id: UInt64) -> [UInt8] {
        var writer = BinaryWriter(Array(String(kind).utf8))
        writer.write(id)
        return writer.bytes
    }

    static func operationID(_ key: [UInt8]) -> UInt64? {
        guard isHistory(key), key.count == 9 else { return nil }
        return key.dropFirst().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Every record of a state.
    private static func whole(_ state: ClusterState) -> [UInt8] {
        let records = all(of: state)
        var writer = BinaryWriter([version])
        writer.write(UInt32(records.count))
        for record in records {
            writer.write(record.key)
            writer.write(record.value ?? [])
        }
        return writer.bytes
    }

    static func state(_ bytes: [UInt8]) throws(BinaryCodingError) -> ClusterState {
        var reader = BinaryReader(bytes)
        let found = try reader.readInteger(UInt8.self)
        guard (1...version).contains(found) else { throw .unknownVersion(found) }
        var state = ClusterState()
        for _ in 0..<(try reader.readCount()) {
            let key = try reader.readBytes()
            try restore(key, try reader.readBytes(), into: &state)
        }
        try reader.finish()
        return state
    }
}

/// Gathers a history from stored records, which come in the order of their keys.
struct HistoryReader {
    private let after: UInt64
    private let limit: Int
    private var oldest: (id: UInt64, value: [UInt8])?
    private var operations: [ClusterOperation] = []

    /// Reads at most `limit` operations after `after`.
    init(after: UInt64?, limit: Int) {
        self.after = after ?? 0
        self.limit = limit
    }

    /// Takes one record; those of the present state are passed over.
    mutating func take(_ key: [UInt8], _ value: [UInt8]) throws(BinaryCodingError) {
        guard let id = ClusterRecords.operationID(key) else { return }
        if key.first == UInt8(ascii: "h") {
            if id < oldest?.id ?? .max { oldest = (id, value) }
        } else if id > max(after, oldest?.id ?? 0), operations.count < limit {
            operations.append(ClusterOperation(id: id, entry: try ClusterEntry(decoding: value)))
        }
    }

    /// The history that was gathered.
    func finish() throws(BinaryCodingError) -> OperationHistory {
        guard let oldest else { return OperationHistory(operations: operations) }
        return OperationHistory(base: try ClusterRecords.state(oldest.value), operations: operations)
    }
}
