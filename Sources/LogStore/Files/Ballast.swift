// SPDX-License-Identifier: Apache-2.0
//
// Ballast.swift
// Space that is held so that it can be let go: what a full disk needs in order to become less full.

internal import Model
internal import Synchronization

/// A file of allocated space, part of the disk reserve (rule R9).
///
/// The index database ends the process when a flush of its own finds no space. So the space is given back before that, and
/// held again when there is plenty. Any thread.
final class Ballast: Sendable {
    /// What is held, if anything.
    let byteCount: Int
    private let system: any FileSystem
    private let path: String
    private let state = Mutex(State())

    private struct State: Sendable {
        var isHeld = false
        var isReleased = false
    }

    /// Less than this is no help to anybody.
    static let byteCountMin = 64 << 10

    /// Gives back what an earlier run held: a start needs room for the replay and for the index database's own.
    init(system: any FileSystem, settings: StoreSettings) throws(StoreError) {
        self.system = system
        path = Self.path(settings.directory)
        let share = min(settings.diskReserve.bytes / 8, settings.ballastMax.bytes)
        byteCount = share < Self.byteCountMin ? 0 : share / 4096 * 4096
        try system.remove(path)
    }

    /// The file below the data directory `root`.
    static func path(_ root: String) -> String { root + "/ballast" }

    /// The bytes that are held now.
    var heldBytes: Int { state.withLock { $0.isHeld ? byteCount : 0 } }

    /// Whether the space was given back and is not held again.
    var isReleased: Bool { state.withLock { $0.isReleased } }

    /// Gives the space back; returns whether there was any.
    func release() throws(StoreError) -> Bool {
        let wasHeld = state.withLock { state in
            defer { state.isHeld = false }
            state.isReleased = byteCount > 0
            return state.isHeld
        }
        if wasHeld { try system.remove(path) }
        return wasHeld
    }

    /// Holds the space again; returns false when the disk does not give it.
    ///
    /// Only the thread that samples the free space calls this.
    func hold() throws(StoreError) -> Bool {
        do throws(StoreError) {
            try system.open(path, .readWrite).allocate(byteCount)
        } catch {
            try system.remove(path)
            guard error.isNoSpace else { throw error }
            return false
        }
        state.withLock { $0 = State(isHeld: true, isReleased: false) }
        return true
    }
}
