// SPDX-License-Identifier: Apache-2.0
//
// WorkerThread.swift
// Named threads of the store, and how batches reach them.

internal import Dispatch
internal import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A thread with a name that runs one function and can be waited for.
final class WorkerThread: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private let isJoined = Mutex(false)

    /// Starts a thread; `name` is cut to the 15 bytes that the system shows.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let job = Job(name: String(name.prefix(15)), body: body, done: done)
        var thread = pthread_t()
        // The job is retained here and released by the thread that takes it over; the thread is detached at once.
        let argument = unsafe Unmanaged.passRetained(job).toOpaque()
        let code = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let job = unsafe Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
                WorkerThread.nameCurrentThread(job.name)
                job.body()
                job.done.signal()
                return nil
            }, argument)
        precondition(code == 0, "the system gives no thread: errno \(code)")
        pthread_detach(thread)
    }

    /// Shows `name` in tools that list threads.
    ///
    /// The kernel's file stands in for a call that Swift's C library module lacks.
    private static func nameCurrentThread(_ name: String) {
        // Path and bytes live for their calls; the file takes plain writes only.
        let file = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        _ = close(file)
    }

    /// Waits until the function has returned.
    func join() {
        isJoined.withLock { joined in
            if !joined { done.wait() }
            joined = true
        }
    }

    private final class Job: Sendable {
        let name: String
        let body: @Sendable () -> Void
        let done: DispatchSemaphore

        init(name: String, body: @escaping @Sendable () -> Void, done: DispatchSemaphore) {
            self.name = name
            self.body = body
            self.done = done
        }
    }
}

/// Items for one thread: appended by any, taken all at once by the owner.
///
/// - Cost: one uncontended lock per append; a wake only when the mailbox was empty.
final class Mailbox<Item: Sendable>: Sendable {
    private let items = Mutex<[Item]>([])
    private let wake = DispatchSemaphore(value: 0)

    /// Adds one item.
    func post(_ item: Item) {
        let wasEmpty = items.withLock { items in
            items.append(item)
            return items.count == 1
        }
        if wasEmpty { wake.signal() }
    }

    /// Adds items in their order.
    func post(contentsOf more: [Item]) {
        guard !more.isEmpty else { return }
        let wasEmpty = items.withLock { items in
            items.append(contentsOf: more)
            return items.count == more.count
        }
        if wasEmpty { wake.signal() }
    }

    /// Whether nothing is in it.
    var isEmpty: Bool { items.withLock { $0.isEmpty } }

    /// Swaps what there is for the emptied array `taken`.
    func take(into taken: inout [Item]) {
        taken.removeAll(keepingCapacity: true)
        items.withLock { swap(&$0, &taken) }
    }

    /// Waits for a wake, at most `milliseconds`; returns whether there was one.
    ///
    /// Stale wakes are possible.
    func wait(milliseconds: Int?) -> Bool {
        guard let milliseconds else {
            wake.wait()
            return true
        }
        return wake.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
    }
}

/// Something that threads wait for until a condition they share becomes true.
final class Condition<State: Sendable>: Sendable {
    private let state: Mutex<(value: State, waiters: [DispatchSemaphore])>

    init(_ value: State) { state = Mutex((value, [])) }

    /// Reads or changes the state; wakes everyone who waits.
    @discardableResult
    func update<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        let (result, waiters) = state.withLock { state in
            let result = body(&state.value)
            let waiters = state.waiters
            state.waiters = []
            return (result, waiters)
        }
        for waiter in waiters { waiter.signal() }
        return result
    }

    /// The state now.
    var value: State { state.withLock { $0.value } }

    /// Waits until `condition` holds and returns what it gave.
    func wait<Result: Sendable>(until condition: (inout State) -> Result?) -> Result {
        while true {
            let waiter = DispatchSemaphore(value: 0)
            let result: Result? = state.withLock { state in
                if let result = condition(&state.value) { return result }
                state.waiters.append(waiter)
                return nil
            }
            if let result { return result }
            waiter.wait()
        }
    }
}
