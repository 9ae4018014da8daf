// SPDX-License-Identifier: Apache-2.0
//
// IndexDatabase+State.swift
// The applied state of state machines (controller, consumer groups, transactions), and the records of the store.

public import Model
internal import RocksKV

extension IndexDatabase {
    /// The value of a state machine's key; nil when there is none.
    public func value(of key: [UInt8], in state: StateFamily, of group: GroupID) throws(IndexError) -> [UInt8]? {
        let key = KeySpace.stateKey(group, key)
        do {
            return try engine.withValue(of: key.span, in: state.indexFamily.family) { copy($0) }
        } catch {
            throw .database(error)
        }
    }

    /// The last entry whose effects are in the state; nil when none are.
    public func applied(in state: StateFamily, of group: GroupID) throws(IndexError) -> AppliedPosition? {
        let key = KeySpace.appliedKey(group)
        return try value(at: key.span, in: state.indexFamily)
    }

    /// Calls `body` with each key that begins with `prefix`, and its value, in order, until it returns false.
    ///
    /// Shows the state of the moment it starts.
    public func scan(
        _ prefix: [UInt8] = [], in state: StateFamily, of group: GroupID,
        _ body: (_ key: [UInt8], _ value: [UInt8]) -> Bool
    ) throws(IndexError) {
        let range = KeyRange.prefix(KeySpace.stateKey(group, prefix))
        try forEach(in: state.indexFamily, over: range) { key, value throws(RecordDamage) in
            guard key.byteCount >= KeySpace.statePrefixCount else { throw .malformedKey }
            return body(copy(key.extracting(droppingFirst: KeySpace.statePrefixCount)), copy(value))
        }
    }

    /// The records of the store; nil when the store is new.
    public func storeMeta() throws(IndexError) -> StoreMeta? {
        let identity: StoreIdentity? = try value(at: KeySpace.key(.identity).span, in: .store)
        guard let identity else { return nil }
        return StoreMeta(
            identity: identity,
            journalApplied: try value(at: KeySpace.key(.journalApplied).span, in: .store) ?? .zero,
            cleanShutdown: try value(at: KeySpace.key(.cleanShutdown).span, in: .store))
    }
}
