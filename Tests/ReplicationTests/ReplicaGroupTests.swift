// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroupTests.swift
// A group of one voter over a real store: it elects itself, commits what is flushed, and carries on after a restart.

import Foundation
import LogStore
import Model
import NIOCore
import NIOPosix
import Raft
import Synchronization
import TestSupport
import Testing

@testable import Replication

/// What a replica reported, and who waits for an index to be committed.
///
/// Confined to its loop.
private final class Recorder: ReplicaObserver {
    var terms: [Term] = []
    var commits: [LogIndex] = []
    var failures: [StoreError] = []
    var waiting: (index: LogIndex, done: () -> Void)?

    func replicaLeads(term: Term) { terms.append(term) }
    func replicaFollows(term: Term, leader: NodeID?) {}
    func replicaFailed(_ error: StoreError) { failures.append(error) }
    func replicaCommitted(upTo index: LogIndex) {
        commits.append(index)
        guard let waiting, waiting.index <= index else { return }
        self.waiting = nil
        waiting.done()
    }
}

@Suite struct ReplicaGroupTests {
    private static func openStore(_ directory: URL) throws -> LogStore {
        var settings = StoreSettings(directory: directory.path)
        settings.diskReserve = ByteCount(0)
        return try LogStore.open(settings, metrics: nil, logger: .silent)
    }

    /// Opens the group on `loop`, proposes `payloads` once it leads, and returns what was reported.
    private static func run(
        _ directory: URL, on loop: any EventLoop, payloads: [String]
    ) async throws -> (terms: [Term], commits: [LogIndex], last: LogIndex) {
        let store = try openStore(directory)
        let recovered = try store.recoverCommandLog(.controller)
        let node = NodeID(rawValue: 1)
        let result = await withCheckedContinuation { done in
            loop.execute {
                let log = store.commandLog(recovered, owner: CompletionOwner(eventLoop: loop))
                let group = ReplicaGroup(
                    node: node, log: log, configuration: Raft.Configuration(voters: [node]), settings: Raft.Settings(),
                    seed: 1)
                let recorder = Recorder()
                let last = LogIndex(log.lastIndex.rawValue + 1 + UInt64(payloads.count))
                recorder.waiting = (
                    log.lastIndex.next,
                    {
                        // The no-op is committed; observers propose when the directives under way are done.
                        recorder.waiting = (
                            last,
                            {
                                group.stop()
                                log.close()
                                done.resume(returning: (recorder.terms, recorder.commits, log.lastIndex))
                            }
                        )
                        group.whenIdle { for payload in payloads { propose(payload, to: group) } }
                    }
                )
                group.start(observer: recorder)
            }
        }
        store.close()
        return result
    }

    private static func propose(_ payload: String, to group: ReplicaGroup) {
        let content = EntryContent(
            kind: .command, baseOffset: .zero, recordCount: 0, maxTimestamp: -1, payload: ByteBuffer(string: payload))
        do {
            _ = try group.propose(content)
        } catch {
            Issue.record("refused: \(error)")
        }
    }

    @Test func aLoneVoterLeadsCommitsAndRemembers() async throws {
        let scratch = try Scratch(inMemory: true)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let first = try await Self.run(scratch.url, on: loops.next(), payloads: ["a", "b", "c"])
        #expect(first.terms == [Term(1)])
        #expect(first.commits.last == LogIndex(4) && first.commits == first.commits.sorted())
        let second = try await Self.run(scratch.url, on: loops.next(), payloads: ["d"])
        #expect(second.terms == [Term(2)], "a new term after a restart")
        #expect(second.last == LogIndex(6), "a no-op and one command more")
        try await loops.shutdownGracefully()
    }
}
