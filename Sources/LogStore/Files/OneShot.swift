// SPDX-License-Identifier: Apache-2.0
//
// OneShot.swift
// The way of a thread's state to its thread.

internal import Synchronization

/// Carries a value that cannot be copied to the one thread that will use it.
final class OneShot<Value: ~Copyable>: Sendable {
    private let value: Mutex<Value?>

    init(_ value: consuming sending Value) { self.value = Mutex(consume value) }

    func consume(_ body: (inout Value) -> Void) {
        value.withLock { value in
            guard var taken = value.take() else { preconditionFailure("taken twice") }
            body(&taken)
        }
    }

    /// Uses the value, which stays.
    func use<Result>(_ body: (inout Value) -> sending Result) -> sending Result {
        value.withLock { value in
            guard var taken = value.take() else { preconditionFailure("used inside its own use") }
            let result = body(&taken)
            value = consume taken
            return result
        }
    }
}
