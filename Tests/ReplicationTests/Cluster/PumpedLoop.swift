// SPDX-License-Identifier: Apache-2.0
//
// PumpedLoop.swift
// An event loop that a test turns itself: completions of the stores' threads run when the test lets them.

import Dispatch
import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Runs tasks on the thread that made it, when that calls ``turn(waiting:)``.
final class PumpedLoop: EventLoop {
    private let thread = UInt(pthread_self())
    private let tasks = Mutex<[@Sendable () -> Void]>([])
    private let wake = DispatchSemaphore(value: 0)

    var inEventLoop: Bool { UInt(pthread_self()) == thread }

    func execute(_ task: @escaping @Sendable () -> Void) {
        tasks.withLock { $0.append(task) }
        wake.signal()
    }

    /// Runs what is there, after waiting for something at most this long; returns whether something ran.
    func turn(waiting milliseconds: Int = 0) -> Bool {
        precondition(inEventLoop, "turned by another thread")
        if milliseconds > 0, tasks.withLock({ $0.isEmpty }) {
            while wake.wait(timeout: .now() + .milliseconds(milliseconds)) == .success {
                if !tasks.withLock({ $0.isEmpty }) { break }
            }
        }
        let taken = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in taken { task() }
        return !taken.isEmpty
    }

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
