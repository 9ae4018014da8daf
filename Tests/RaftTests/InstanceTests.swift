// SPDX-License-Identifier: Apache-2.0
//
// InstanceTests.swift
// One replica, one event at a time: what it is told and what it asks for.

import Model
import Testing

@testable import Raft

/// Three voters, seen from node 1, which has recovered the entries with these terms.
private final class Bench {
    var raft: Instance
    private static let voters = (1...3).map { NodeID(rawValue: $0) }

    init(
        terms: [UInt64] = [], term: UInt64? = nil, vote: Int32? = nil, committed: UInt64 = 0,
        standing: Raft.Standing = .sound, settings: Raft.Settings = Raft.Settings(), voters: [NodeID] = Bench.voters
    ) {
        var disk = DiskImage(baseConfiguration: Raft.Configuration(voters: voters))
        disk.hardState = Raft.HardState(
            term: Term(term ?? terms.last ?? 0), votedFor: vote.map { NodeID(rawValue: $0) })
        disk.entries = terms.enumerated().map { offset, term in
            Entry(index: LogIndex(UInt64(offset) + 1), term: Term(term), byteCount: 1, body: .data("e"))
        }
        raft = Instance(
            id: NodeID(rawValue: 1), group: GroupID(rawValue: 1024), settings: settings,
            state: disk.recovered(committed: LogIndex(committed), standing: standing), seed: 1)
    }

    /// Runs an event and returns the directives in words.
    func run(_ event: (inout Instance, inout [Raft.Directive<String>]) throws -> Void) rethrows -> [String] {
        var directives: [Raft.Directive<String>] = []
        try event(&raft, &directives)
        return directives.map { describe($0) }
    }

    func receive(_ body: Message.Body, from: Int32 = 2, term: UInt64) -> [String] {
        let message = Message(from: NodeID(rawValue: from), to: NodeID(rawValue: 1), term: Term(term), body: body)
        return run { $0.step(message, into: &$1) }
    }

    /// Completes a hard state at once.
    func persistHardState() -> [String] {
        let state = raft.hardState
        return run { $0.hardStatePersisted(state, into: &$1) }
    }

    /// Makes the replica lead the term after the one it is in.
    func elect() {
        let term = raft.term.rawValue + 1
        _ = run { $0.campaign(into: &$1) }
        _ = receive(.voteResponse(Raft.VoteResponse(isPreVote: true, isGranted: true)), term: term)
        _ = persistHardState()
        _ = receive(.voteResponse(Raft.VoteResponse(isPreVote: false, isGranted: true)), term: term)
        precondition(raft.isLeader)
    }

    /// A follower has nothing of what the leader sent behind entry 3.
    static let refusal = Message.Body.appendResponse(
        Raft.AppendResponse(
            appended: .zero, flushed: .zero, rejection: .init(previous: LogIndex(3), hint: .zero), isTrusted: true,
            session: 0))

    /// Broker 2 refuses in term 2; what the leader then asks its log for.
    func refuse() -> Raft.EntriesRequest? {
        var request: Raft.EntriesRequest?
        let message = Message(
            from: NodeID(rawValue: 2), to: NodeID(rawValue: 1), term: Term(2), body: Self.refusal)
        _ = run { raft, directives in
            raft.step(message, into: &directives)
            for case .needEntries(let wanted) in directives { request = wanted }
        }
        return request
    }
}

private func append(after previous: UInt64, _ previousTerm: UInt64, _ terms: [UInt64], commit: UInt64) -> Message.Body {
    let entries = terms.enumerated().map { offset, term in
        Entry(index: LogIndex(previous + UInt64(offset) + 1), term: Term(term), byteCount: 1, body: .data("n"))
    }
    return .append(
        Raft.Append(
            previous: Raft.Position(index: LogIndex(previous), term: Term(previousTerm)), entries: entries,
            committed: LogIndex(commit), session: 0))
}

@Suite struct ElectionTests {
    @Test func timeoutsAreSpreadOverOneElectionTimeout() {
        var seen: Set<Int> = []
        for seed in 0..<200 {
            var raft = Instance(
                id: NodeID(rawValue: 1), group: GroupID(rawValue: 1024), settings: Raft.Settings(),
                state: .empty(Raft.Configuration(voters: [1, 2, 3].map(NodeID.init(rawValue:)))), seed: UInt64(seed))
            var directives: [Raft.Directive<String>] = []
            var ticks = 0
            while directives.isEmpty {
                raft.tick(into: &directives)
                ticks += 1
            }
            seen.insert(ticks)
        }
        #expect(seen == Set(10..<20))
    }

    struct VoteCase: Sendable, CustomStringConvertible {
        let description: String
        var vote: Int32?
        var term: UInt64 = 4
        var last = Raft.Position(index: LogIndex(2), term: Term(3))
        var isPreVote = false
        var answer: String?
    }

    static let cases: [VoteCase] = [
        VoteCase(description: "same log, newer term", answer: "t4 vote granted"),
        VoteCase(
            description: "longer log", last: Raft.Position(index: LogIndex(9), term: Term(3)), answer: "t4 vote granted"
        ),
        VoteCase(
            description: "shorter log", last: Raft.Position(index: LogIndex(1), term: Term(3)), answer: "t4 vote denied"
        ),
        VoteCase(
            description: "longer log of an older term", last: Raft.Position(index: LogIndex(9), term: Term(2)),
            answer: "t4 vote denied"),
        VoteCase(
            description: "shorter log of a newer term", last: Raft.Position(index: LogIndex(1), term: Term(4)),
            answer: "t4 vote granted"),
        VoteCase(description: "voted for another", vote: 3, term: 3, answer: "t3 vote denied"),
        VoteCase(description: "voted for the same", vote: 2, term: 3, answer: "t3 vote granted"),
        VoteCase(description: "old term", term: 2, answer: "t3 vote denied"),
        VoteCase(description: "pre-vote", isPreVote: true, answer: "t4 pre-vote granted"),
        VoteCase(
            description: "pre-vote after voting for another", vote: 3, isPreVote: true, answer: "t4 pre-vote granted"),
        VoteCase(
            description: "pre-vote for this term, voted", vote: 3, term: 3, isPreVote: true,
            answer: "t3 pre-vote denied"),
        VoteCase(description: "pre-vote for an old term", term: 2, isPreVote: true, answer: "t3 pre-vote denied"),
        VoteCase(
            description: "pre-vote with a shorter log", last: Raft.Position(index: LogIndex(1), term: Term(3)),
            isPreVote: true, answer: "t3 pre-vote denied"),
    ]

    @Test(arguments: cases) func votes(_ vote: VoteCase) {
        let bench = Bench(terms: [1, 3], vote: vote.vote)
        let request = Raft.VoteRequest(isPreVote: vote.isPreVote, last: vote.last, isTransfer: false)
        var lines = bench.receive(.voteRequest(request), term: vote.term)
        if lines.contains(where: { $0.hasPrefix("persist") }) {
            #expect(!lines.contains { $0.hasPrefix("->") }, "nothing leaves before the hard state is durable")
            lines = bench.persistHardState()
        }
        #expect(lines == vote.answer.map { ["-> 2 " + $0] } ?? [])
        if vote.isPreVote { #expect(bench.raft.term == Term(3) && bench.raft.votedFor?.rawValue == vote.vote) }
    }

    @Test func aLiveLeaderIsProtected() {
        let bench = Bench(terms: [1])
        _ = bench.receive(.heartbeat(Raft.Heartbeat(committed: .zero, round: 0, session: 0)), from: 3, term: 1)
        let last = Raft.Position(index: LogIndex(9), term: Term(9))
        for isPreVote in [true, false] {
            let request = Raft.VoteRequest(isPreVote: isPreVote, last: last, isTransfer: false)
            #expect(bench.receive(.voteRequest(request), term: 9) == [])
        }
        #expect(bench.raft.term == Term(1))
        let transfer = Raft.VoteRequest(isPreVote: false, last: last, isTransfer: true)
        #expect(
            bench.receive(.voteRequest(transfer), term: 2) == ["follows nobody in term 2", "persist term 2, vote 2"])
    }

    @Test func anAmnesiacNeitherVotesNorCampaigns() {
        let bench = Bench(terms: [1], vote: 2, standing: .amnesiac)
        let request = Raft.VoteRequest(
            isPreVote: true, last: Raft.Position(index: LogIndex(9), term: Term(9)), isTransfer: false)
        #expect(bench.receive(.voteRequest(request), term: 9) == [])
        #expect(bench.run { $0.campaign(into: &$1) } == [])
        #expect(bench.receive(.campaignNow, term: 1) == ["follows 2 in term 1"])
    }

    @Test func aLogAheadOfTheHardStateRaisesTheTerm() {
        let bench = Bench(terms: [1, 5], term: 3, vote: 2)
        #expect(bench.run { $0.start(into: &$1) } == ["persist term 5, vote -"])
        #expect(bench.raft.term == Term(5) && bench.raft.votedFor == nil)
    }

    @Test func lostPollsEndTheCampaign() {
        let bench = Bench(terms: [1])
        _ = bench.run { $0.campaign(into: &$1) }
        let denied = Raft.VoteResponse(isPreVote: true, isGranted: false)
        _ = bench.receive(.voteResponse(denied), from: 2, term: 1)
        #expect(bench.raft.role == .preCandidate)
        _ = bench.receive(.voteResponse(denied), from: 3, term: 1)
        #expect(bench.raft.role == .follower)
    }

    @Test func aPreVoteAnswerForAnotherTermDoesNotCount() {
        let bench = Bench(terms: [1])
        _ = bench.run { $0.campaign(into: &$1) }
        _ = bench.receive(.voteResponse(Raft.VoteResponse(isPreVote: true, isGranted: true)), term: 7)
        #expect(bench.raft.role == .preCandidate && bench.raft.term == Term(1))
    }

    @Test func messagesForOthersAreIgnored() {
        let bench = Bench()
        let stray = Message(from: NodeID(rawValue: 2), to: NodeID(rawValue: 3), term: Term(9), body: .campaignNow)
        #expect(bench.run { $0.step(stray, into: &$1) } == [])
    }
}

@Suite struct FollowerTests {
    @Test func entriesAreAcknowledgedWhenFlushed() {
        let bench = Bench(terms: [1], vote: 2)
        #expect(
            bench.receive(append(after: 1, 1, [1, 1], commit: 1), term: 1) == [
                "follows 2 in term 1", "write [2/1 n, 3/1 n]", "commit 1",
            ])
        #expect(
            bench.run { $0.persisted(LogIndex(3), term: Term(1), into: &$1) } == ["-> 2 t1 append ok to 3, flushed 3"])
    }

    @Test func commitFollowsOnlyWhatIsVerified() {
        let bench = Bench(terms: [1, 1, 1])
        // The heartbeat's commit index says nothing about entries that the leader has not confirmed.
        _ = bench.receive(.heartbeat(Raft.Heartbeat(committed: LogIndex(3), round: 0, session: 0)), term: 2)
        #expect(bench.raft.committedIndex == .zero)
        _ = bench.persistHardState()
        #expect(
            bench.receive(append(after: 2, 1, [], commit: 9), term: 2) == [
                "commit 2", "-> 2 t2 append ok to 2, flushed 2",
            ])
    }

    @Test func conflictsCutTheLog() {
        let bench = Bench(terms: [1, 1, 1], committed: 1)
        let lines = bench.receive(append(after: 1, 1, [1, 2], commit: 1), term: 2)
        #expect(lines == ["follows 2 in term 2", "persist term 2, vote 2", "truncate from 3", "write [3/2 n]"])
    }

    @Test func entriesBelowTheCommitIndexAreSkipped() {
        let bench = Bench(terms: [1, 1, 1], vote: 2, committed: 3)
        #expect(
            bench.receive(append(after: 0, 0, [1, 1], commit: 3), term: 1) == [
                "follows 2 in term 1", "-> 2 t1 append ok to 3, flushed 3",
            ])
        #expect(bench.receive(append(after: 1, 1, [1, 1, 1], commit: 3), term: 1) == ["write [4/1 n]"])
    }

    static let hints: [(log: [UInt64], previous: UInt64, term: UInt64, hint: String)] = [
        ([1, 1], 5, 3, "2/1"),
        ([1, 1, 2, 2, 2], 5, 1, "2/1"),
        ([1, 1, 4, 4], 4, 3, "2/1"),
        ([3, 3, 3], 3, 2, "0/0"),
    ]

    @Test(arguments: hints) func refusalsCarryAHint(log: [UInt64], previous: UInt64, term: UInt64, hint: String) {
        let bench = Bench(terms: log, term: 9, vote: 2)
        let lines = bench.receive(append(after: previous, term, [9], commit: 0), term: 9)
        #expect(lines.last == "-> 2 t9 append refused at \(previous), try \(hint)")
    }

    @Test func corruptionLimitsWhatIsConfirmed() {
        let bench = Bench(terms: [1, 1, 1], vote: 2, standing: .corrupt(from: LogIndex(2)))
        #expect(bench.receive(append(after: 3, 1, [], commit: 0), term: 1).last == "-> 2 t1 append ok to 3, flushed 1")
        #expect(bench.run { $0.setStanding(.sound, into: &$1) } == ["-> 2 t1 append ok to 3, flushed 3"])
    }

    @Test func oldLeadersAreToldTheNewTerm() {
        let bench = Bench(terms: [1], term: 5)
        let heartbeat = Raft.Heartbeat(committed: .zero, round: 1, session: 0)
        #expect(bench.receive(.heartbeat(heartbeat), term: 4) == ["-> 2 t5 append ok to 0, flushed 0"])
        #expect(
            bench.receive(
                .appendResponse(Raft.AppendResponse(appended: .zero, flushed: .zero, isTrusted: true, session: 0)),
                term: 4) == [])
    }
}

@Suite struct LeaderTests {
    @Test func batchesGetConsecutiveIndexes() throws {
        let bench = Bench()
        bench.elect()
        var range = LogIndex.zero...LogIndex.zero
        let lines = try bench.run { raft, directives in
            range = try raft.propose(["a", "b"].map { Raft.Proposal($0, byteCount: 1) }, into: &directives)
        }
        #expect(range == LogIndex(2)...LogIndex(3))
        #expect(lines == ["write [2/1 a, 3/1 b]"], "probing peers wait for the answer to the no-op")
    }

    @Test func refusedBatchesChangeNothing() throws {
        var settings = Raft.Settings()
        settings.uncommittedBytesMax = 10
        let bench = Bench(settings: settings)
        #expect(throws: Raft.Refusal.notLeader(leader: nil)) {
            try bench.run { _ = try $0.propose("a", byteCount: 1, into: &$1) }
        }
        bench.elect()
        _ = try bench.run { _ = try $0.propose("a", byteCount: 8, into: &$1) }
        #expect(throws: Raft.Refusal.uncommittedBytes(waiting: 8, limit: 10)) {
            try bench.run { _ = try $0.propose("b", byteCount: 3, into: &$1) }
        }
        #expect(bench.raft.lastIndex == LogIndex(2) && bench.raft.uncommittedBytes == 8)
    }

    @Test func entriesOfOldTermsCommitOnlyWithOneOfThisTerm() {
        let bench = Bench(terms: [1, 1])
        bench.elect()
        let old = Raft.AppendResponse(appended: LogIndex(2), flushed: LogIndex(2), isTrusted: true, session: 0)
        _ = bench.receive(.appendResponse(old), term: 2)
        #expect(bench.raft.committedIndex == .zero && !bench.raft.isTermConfirmed)
        let new = Raft.AppendResponse(appended: LogIndex(3), flushed: LogIndex(3), isTrusted: true, session: 0)
        #expect(bench.receive(.appendResponse(new), term: 2) == [])
        #expect(
            bench.run { $0.persisted(LogIndex(3), term: Term(2), into: &$1) }.prefix(2) == [
                "term 2 confirmed", "commit 3",
            ])
        #expect(bench.raft.isTermConfirmed)
    }

    @Test func appendedIsNotFlushed() {
        let bench = Bench()
        bench.elect()
        _ = bench.run { $0.persisted(LogIndex(1), term: Term(1), into: &$1) }
        let inMemory = Raft.AppendResponse(appended: LogIndex(1), flushed: .zero, isTrusted: true, session: 0)
        _ = bench.receive(.appendResponse(inMemory), term: 1)
        #expect(bench.raft.committedIndex == .zero)
    }

    @Test func outdatedLoadsAreIgnored() throws {
        let bench = Bench(terms: [1, 1, 1])
        bench.elect()
        let request = try #require(bench.refuse())
        #expect(request.from == LogIndex(1) && request.through == LogIndex(3))
        #expect(bench.run { $0.entriesUnavailable(request, into: &$1) } == [])
        #expect(bench.run { $0.entriesLoaded(request, entries: [], into: &$1) } == [], "the request is closed")
        #expect(bench.raft.peerStatus[0].state == .probe)
        // The peer's next sign of life opens another one.
        let alive = Raft.HeartbeatResponse(round: 0, isTrusted: true, session: 0)
        #expect(bench.receive(.heartbeatResponse(alive), term: 2) == ["load 1...3 for 2"])
    }

    /// A load takes a while; when it is done, what it loaded may be compacted.
    @Test func loadsOfWhatWasCompactedLeadToASnapshot() throws {
        let bench = Bench(terms: [1, 1, 1], committed: 3)
        bench.elect()
        let request = try #require(bench.refuse())
        bench.raft.compacted(through: LogIndex(2))
        let entries = (1...3).map { Entry(index: LogIndex($0), term: Term(1), byteCount: 1, body: .data("e")) }
        #expect(
            bench.run { $0.entriesLoaded(request, entries: entries, into: &$1) } == ["provide snapshot for 2"])
    }

    @Test func snapshotsBelowTheBaseAreIgnored() {
        let bench = Bench(terms: [1, 1, 1], committed: 3)
        bench.raft.compacted(through: LogIndex(3))
        bench.elect()
        #expect(bench.receive(Bench.refusal, term: 2) == ["provide snapshot for 2"])
        let old = Raft.SnapshotInfo(
            position: Raft.Position(index: LogIndex(2), term: Term(1)), configuration: bench.raft.configuration)
        #expect(bench.run { $0.snapshotProvided(old, to: NodeID(rawValue: 2), into: &$1) } == [])
        let good = Raft.SnapshotInfo(
            position: Raft.Position(index: LogIndex(3), term: Term(1)), configuration: bench.raft.configuration)
        #expect(
            bench.run { $0.snapshotProvided(good, to: NodeID(rawValue: 2), into: &$1) } == [
                "-> 2 t2 snapshot 3/1 voters 1 2 3"
            ])
    }

    @Test func readsHaveALimit() throws {
        var settings = Raft.Settings()
        settings.pendingReadsMax = 2
        let bench = Bench(settings: settings)
        bench.elect()
        for read in 1...2 { _ = try bench.run { try $0.requestRead(Raft.ReadID(rawValue: UInt64(read)), into: &$1) } }
        #expect(throws: Raft.Refusal.tooManyReads(limit: 2)) {
            try bench.run { try $0.requestRead(Raft.ReadID(rawValue: 3), into: &$1) }
        }
        #expect(
            bench.run { $0.resign(into: &$1) } == [
                "-> 2 t1 campaign now", "reads 1 2 failed", "follows nobody in term 1",
            ])
    }

    @Test func twoLeadersOfATermAreABrokenInvariant() async {
        await #expect(processExitsWith: .failure) {
            let bench = Bench()
            bench.elect()
            _ = bench.receive(.heartbeat(Raft.Heartbeat(committed: .zero, round: 0, session: 0)), term: 1)
        }
    }

    @Test func singleVoterNeedsNobody() throws {
        let bench = Bench(voters: [NodeID(rawValue: 1)])
        #expect(bench.run { $0.start(into: &$1) } == ["persist term 1, vote 1", "candidate in term 1"])
        #expect(bench.persistHardState() == ["leads term 1", "write [1/1 no-op]"])
        #expect(bench.run { $0.persisted(LogIndex(1), term: Term(1), into: &$1) } == ["term 1 confirmed", "commit 1"])
        #expect(try bench.run { try $0.requestRead(Raft.ReadID(rawValue: 1), into: &$1) } == ["reads 1 ready at 1"])
        for _ in 0..<50 { #expect(bench.run { $0.tick(into: &$1) } == []) }
    }
}
