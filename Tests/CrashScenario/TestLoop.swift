// SPDX-License-Identifier: Apache-2.0
//
// TestLoop.swift
// An event loop that the test itself turns, so that completions run on the test's thread when it waits for them.

public import Dispatch
public import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Runs tasks when ``turn(until:)`` is called on the thread that made it.
public final class TestLoop: EventLoop {
    private let thread = UInt(pthread_self())
    private let tasks = Mutex<[@Sendable () -> Void]>([])
    private let wake = DispatchSemaphore(value: 0)

    /// Nothing came for so long that the test hangs.
    public struct TimedOut: Error {}

    /// A loop that the calling thread turns.
    public init() {}

    /// See the protocol.
    public var inEventLoop: Bool { UInt(pthread_self()) == thread }

    /// See the protocol.
    public func execute(_ task: @escaping @Sendable () -> Void) {
        tasks.withLock { $0.append(task) }
        wake.signal()
    }

    /// Runs tasks until `condition` holds.
    ///
    /// The limit is for a test that hangs, not for timing.
    public func turn(until condition: () -> Bool) throws {
        precondition(inEventLoop, "turned by another thread")
        while true {
            for task in tasks.withLock({ tasks in
                defer { tasks = [] }
                return tasks
            }) { task() }
            if condition() { return }
            if wake.wait(timeout: .now() + .seconds(20)) == .timedOut { throw TimedOut() }
        }
    }

    /// Runs what is there.
    public func turn() {
        for task in tasks.withLock({ tasks in
            defer { tasks = [] }
            return tasks
        }) { task() }
    }

    /// See the protocol.
    public func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        preconditionFailure("nothing here is timed")
    }

    /// See the protocol.
    public func scheduleTask<T>(in: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        preconditionFailure("nothing here is timed")
    }

    /// See the protocol.
    public func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }

    /// See the protocol.
    public func syncShutdownGracefully() throws {}
}
