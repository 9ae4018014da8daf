// SPDX-License-Identifier: Apache-2.0
//
// StoreSteps.swift
// The store without threads: what its threads would do, in pieces that a caller runs one at a time and in any order.
// For simulation.

internal import Synchronization

/// Who does the work of the store's threads.
package enum Execution: Sendable {
    /// Threads, as in every broker.
    case threads
    /// A caller, step by step.
    case steps(StoreSteps)
}

/// The work of one store's threads, for a caller in one thread.
///
/// A step is one batch of one worker's mailbox: what a thread does between two looks into it. Where a worker would wait for
/// another one, that one's steps are run inside the wait.
package final class StoreSteps: Sendable {
    /// The threads that are stood in for; those that flush in parallel do their part inside the others' steps.
    package enum Worker: Int, Sendable, CaseIterable {
        case flush
        case apply
        case codec
        case read
        case stage
        case compact
    }

    private struct Body: Sendable {
        let hasWork: @Sendable () -> Bool
        let step: @Sendable () -> Bool
    }

    private let bodies = Mutex<[Body?]>(Worker.allCases.map { _ in nil })
    private let pick: @Sendable (Int) -> Int
    private let stalled: @Sendable () -> Void

    /// So many fruitless rounds are a deadlock.
    private static let stallsMax = 10_000

    /// `pick` chooses one of so many, where the order of threads is open; `stalled` is called when a worker waits for
    /// something that only time can bring, and should let some pass.
    package init(pick: @escaping @Sendable (Int) -> Int, stalled: @escaping @Sendable () -> Void) {
        self.pick = pick
        self.stalled = stalled
    }

    /// Whether something lies in the mailbox of `worker`.
    package func hasWork(_ worker: Worker) -> Bool { body(worker)?.hasWork() ?? false }

    /// Runs one step of `worker`; returns whether there was something to do.
    ///
    /// Without work in its mailbox a worker does what is due by its clock, or what it does when idle.
    @discardableResult
    package func run(_ worker: Worker) -> Bool { body(worker)?.step() ?? false }

    private func body(_ worker: Worker) -> Body? { bodies.withLock { $0[worker.rawValue] } }

    /// Makes `step` the work of `worker`.
    func bind(_ worker: Worker, hasWork: @escaping @Sendable () -> Bool, step: @escaping @Sendable () -> Bool) {
        bodies.withLock { $0[worker.rawValue] = Body(hasWork: hasWork, step: step) }
    }

    /// Lets go of the store.
    func unbind() { bodies.withLock { bodies in for place in bodies.indices { bodies[place] = nil } } }

    /// Runs `workers` until `isDone` holds, for somebody who would wait for them.
    func run(_ workers: [Worker], until isDone: () -> Bool) {
        var stalls = 0
        while !isDone() {
            // No short cut: each has its turn.
            let didWork = workers.count { run($0) } > 0
            guard !didWork else { continue }
            stalls += 1
            precondition(stalls < Self.stallsMax, "a thread would wait for ever for \(workers)")
            stalled()
        }
    }

    /// One of `values`, where it depends on measured times which one threads would take.
    func choose<T>(_ values: [T]) -> T { values[pick(values.count)] }

    /// The places 0 to `count`, in the order in which threads side by side happened to be done.
    func shuffled(_ count: Int) -> [Int] {
        var places = Array(0..<count)
        for place in places.indices.dropLast() { places.swapAt(place, place + pick(count - place)) }
        return places
    }
}
