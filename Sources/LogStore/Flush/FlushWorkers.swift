// SPDX-License-Identifier: Apache-2.0
//
// FlushWorkers.swift
// Flushes several files at once: the disk does parallel flushes faster than one after the other.

internal import Dispatch
internal import Synchronization

/// A few threads that flush files.
final class FlushWorkers: Sendable {
    private enum Job: Sendable {
        case flush(any File, Gathering)
        case stop
    }

    private let mailboxes: [Mailbox<Job>]
    private let threads: [WorkerThread]
    private let next = Mutex(0)
    /// Instead of threads.
    private let steps: StoreSteps?

    init(count: Int, execution: Execution) {
        if case .steps(let steps) = execution { self.steps = steps } else { steps = nil }
        mailboxes = (0..<(steps == nil ? max(1, count) : 0)).map { _ in Mailbox<Job>() }
        threads = mailboxes.enumerated().map { number, mailbox in
            WorkerThread("store-flush-\(number)") { Self.run(mailbox) }
        }
    }

    /// Flushes `files` and returns when all are durable, or the first error.
    func flush(_ files: [any File]) throws(StoreError) {
        guard files.count > 1 else {
            if let file = files.first { try file.flush() }
            return
        }
        if let steps { return try flush(files, in: steps.shuffled(files.count)) }
        let gathering = Gathering(count: files.count)
        let start = next.withLock { next in
            next += files.count
            return next
        }
        for (number, file) in files.enumerated() {
            mailboxes[(start + number) % mailboxes.count].post(.flush(file, gathering))
        }
        if let error = gathering.wait() { throw error }
    }

    /// One after the other, in the order in which threads might have been done.
    private func flush(_ files: [any File], in order: [Int]) throws(StoreError) {
        var problem: StoreError?
        for place in order {
            do throws(StoreError) { try files[place].flush() } catch { problem = problem ?? error }
        }
        if let problem { throw problem }
    }

    /// Ends the threads.
    func stop() {
        for mailbox in mailboxes { mailbox.post(.stop) }
        for thread in threads { thread.join() }
    }

    private static func run(_ mailbox: Mailbox<Job>) {
        var jobs: [Job] = []
        while true {
            mailbox.take(into: &jobs)
            if jobs.isEmpty { _ = mailbox.wait(milliseconds: nil) }
            for job in jobs {
                guard case .flush(let file, let gathering) = job else { return }
                do throws(StoreError) {
                    try file.flush()
                    gathering.completed(nil)
                } catch {
                    gathering.completed(error)
                }
            }
        }
    }

    /// Waits for several flushes.
    private final class Gathering: Sendable {
        private let state: Mutex<(left: Int, error: StoreError?)>
        private let done = DispatchSemaphore(value: 0)

        init(count: Int) { state = Mutex((count, nil)) }

        func completed(_ error: StoreError?) {
            let isLast = state.withLock { state in
                state.left -= 1
                state.error = state.error ?? error
                return state.left == 0
            }
            if isLast { done.signal() }
        }

        func wait() -> StoreError? {
            done.wait()
            return state.withLock { $0.error }
        }
    }
}
