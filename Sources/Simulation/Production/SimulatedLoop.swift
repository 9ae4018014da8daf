// SPDX-License-Identifier: Apache-2.0
//
// SimulatedLoop.swift
// The event loop of one simulated process: tasks wait until the simulation turns it.

internal import Dispatch
internal import NIOCore
internal import Synchronization

/// An event loop that runs nothing by itself.
final class SimulatedLoop: EventLoop {
    private let tasks = Mutex<[@Sendable () -> Void]>([])

    /// There is one thread.
    var inEventLoop: Bool { true }

    /// Whether something waits to be run.
    var hasWork: Bool { tasks.withLock { !$0.isEmpty } }

    func execute(_ task: @escaping @Sendable () -> Void) { tasks.withLock { $0.append(task) } }

    /// Runs what is there now.
    func turn() {
        let taken = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in taken { task() }
    }

    /// Forgets what is there, as the death of the process would.
    func clear() { tasks.withLock { $0 = [] } }

    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        preconditionFailure("nothing here is timed")
    }

    func scheduleTask<T>(in: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        preconditionFailure("nothing here is timed")
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }

    func syncShutdownGracefully() throws {}
}
