// SPDX-License-Identifier: Apache-2.0
//
// ConnectionEnd.swift
// Whom to tell when a connection closes, whether or not one of its requests is unanswered then.

internal import Synchronization

/// The end of a connection; one object for each connection, which is its identity at the same time.
public final class ConnectionEnd: Sendable {
    private struct State {
        var hasCome = false
        var actions: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// Makes the end of a connection that is open.
    public init() {}

    /// Has `action` run once when the connection closes, at once when it is closed already; on any thread.
    ///
    /// There is no way back: what registers here does so a bounded number of times.
    public func then(_ action: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if !state.hasCome { state.actions.append(action) }
            return state.hasCome
        }
        if isLate { action() }
    }

    /// The connection is closed; to be called by its owner.
    public func come() {
        let actions = state.withLock { state in
            state.hasCome = true
            defer { state.actions = [] }
            return state.actions
        }
        for action in actions { action() }
    }
}
