// SPDX-License-Identifier: Apache-2.0
//
// BrokerStart.swift
// A start that is under way, and how it is given up: in a cluster it may wait for others for as long as they are away.

import Synchronization

/// A start whose outcome is told once.
package final class BrokerStart: Sendable {
    private struct State {
        var isOver = false
        var isAbandoned = false
        var broker: Broker?
    }

    private let state = Mutex(State())
    private let then: @Sendable (Result<Broker, HostFailure>) -> Void

    init(then: @escaping @Sendable (Result<Broker, HostFailure>) -> Void) { self.then = then }

    /// Gives up; the outcome is ``HostFailure/stopped`` when nothing of the broker runs any more, unless it is known by now.
    package func abandon() {
        let broker = state.withLock { state -> Broker? in
            state.isAbandoned = true
            return state.isOver ? nil : state.broker
        }
        guard let broker else { return end(.failure(.stopped)) }
        broker.stop { [self] in end(.failure(.stopped)) }
    }

    /// Whether to go on.
    var isWanted: Bool { state.withLock { !$0.isAbandoned && !$0.isOver } }

    /// The parts are together; false when they must not begin to work.
    func assembled(_ broker: Broker) -> Bool {
        state.withLock { state in
            guard !state.isAbandoned, !state.isOver else { return false }
            state.broker = broker
            return true
        }
    }

    /// Tells the outcome, the first time.
    func end(_ result: Result<Broker, HostFailure>) {
        let isFirst = state.withLock { state in
            defer {
                state.isOver = true
                state.broker = nil
            }
            return !state.isOver
        }
        if isFirst { then(result) }
    }
}
