// SPDX-License-Identifier: Apache-2.0
//
// GroupHistory.swift
// What has become true of one group and must stay true: its leaders, its votes, its committed entries, the answers
// that clients were given.

internal import Model
internal import Raft

/// The truth about one group, as an observer of everything knows it.
final class GroupHistory {
    /// A committed entry: its place, the checksum of the log up to it, and the operation in it.
    struct Committed {
        let term: Term
        let chain: UInt64
        let payload: UInt64?
    }

    /// The leader of each term, by term.
    private var leaders: [NodeID?] = []
    /// Whom each node voted for, by node and term, as its messages said.
    private var votes: [[NodeID?]]
    /// The checksum of each entry that was ever written, by index and term.
    private var written: [[(term: Term, chain: UInt64)]] = []
    /// The committed entries, from index 1 on.
    private(set) var committed: [Committed] = []
    /// The last entry that a client was told of.
    private(set) var answered = LogIndex.zero
    /// The highest high watermark served in each term.
    private var served: [LogIndex] = []
    /// The latest configuration known to be committed.
    private(set) var settled: (index: LogIndex, configuration: Raft.Configuration)
    /// By node, the change of members that ended its latest membership: its index and the term that committed it.
    ///
    /// What a controller knows is that or newer.
    private var departures: [Raft.Position?]

    init(founders: Raft.Configuration, nodes: Int) {
        votes = Array(repeating: [], count: nodes)
        departures = Array(repeating: nil, count: nodes)
        settled = (.zero, founders)
    }

    var committedIndex: LogIndex { LogIndex(UInt64(committed.count)) }

    /// The committed entry at `index`; nil above.
    func entry(at index: LogIndex) -> Committed? {
        index > .zero && index <= committedIndex ? committed[Int(index.rawValue) - 1] : nil
    }

    /// The checksum of the committed log up to `index`; nil above its end.
    func chain(at index: LogIndex) -> UInt64? { index == .zero ? 0 : entry(at: index)?.chain }

    // MARK: - What happened

    /// A2: who follows a leader has used up the vote of its term.
    func granted(to candidate: NodeID, in term: Term, following leader: (term: Term, node: NodeID)?) -> String? {
        guard let leader, leader.term == term, leader.node != candidate else { return nil }
        return "A2: a follower of \(leader.node) votes for \(candidate) in term \(term)"
    }

    /// A1 and A4: a replica leads a term.
    func led(_ node: NodeID, _ term: Term, log: GroupImage) -> String? {
        let place = Int(term.rawValue)
        while leaders.count <= place { leaders.append(nil) }
        if let other = leaders[place], other != node { return "A1: nodes \(other) and \(node) lead term \(term)" }
        leaders[place] = node
        // A replica that wins late, when a newer leader has committed more, is no danger.
        guard place == leaders.count - 1 else { return nil }
        let index = committedIndex
        if log.base.index >= index { return nil }
        if log.chain(at: index) != chain(at: index) {
            return "A4: leader \(node) of term \(term) lacks committed entry \(index) (log \(log.base)...\(log.last))"
        }
        return nil
    }

    /// A2: a replica says that it votes.
    func voted(_ node: Int, _ term: Term, for candidate: NodeID) -> String? {
        let place = Int(term.rawValue)
        while votes[node].count <= place { votes[node].append(nil) }
        if let other = votes[node][place], other != candidate {
            return "A2: node \(node + 1) votes for \(other) and \(candidate) in term \(term)"
        }
        votes[node][place] = candidate
        return nil
    }

    /// A3: a frame was written to a log.
    func wrote(_ frame: Frame, by node: NodeID) -> String? {
        let place = Int(frame.entry.index.rawValue)
        while written.count <= place { written.append([]) }
        if let known = written[place].first(where: { $0.term == frame.entry.term }) {
            return known.chain == frame.chain
                ? nil : "A3: entry \(frame.entry.position) on node \(node) is not what another log has there"
        }
        written[place].append((frame.entry.term, frame.chain))
        return nil
    }

    /// A4: a replica takes its log up to `index` for committed.
    func committed(through index: LogIndex, by node: NodeID, in term: Term, log: GroupImage) -> String? {
        while committedIndex < index {
            let next = committedIndex.next
            guard let frame = log.frame(at: next) else {
                return "A4: node \(node) commits \(index), \(next) was never known to be committed and is not there"
            }
            guard Frame(frame.entry, after: chain(at: next.previous) ?? 0).chain == frame.chain else {
                return "A4: entry \(next) on node \(node) does not follow what is committed"
            }
            committed.append(Committed(term: frame.entry.term, chain: frame.chain, payload: frame.entry.payload))
            if case .configuration(let configuration) = frame.entry.body { settle(configuration, at: next, term) }
        }
        if log.chain(at: index) != chain(at: index) {
            return "A4: node \(node) commits another entry \(index) than was committed before"
        }
        return nil
    }

    private func settle(_ configuration: Raft.Configuration, at index: LogIndex, _ term: Term) {
        settled = (index, configuration)
        for number in departures.indices {
            let isMember = configuration.contains(NodeID(rawValue: Int32(number + 1)))
            if isMember { departures[number] = nil }
            if !isMember && departures[number] == nil { departures[number] = Raft.Position(index: index, term: term) }
        }
    }

    /// A replica that has left is deleted; returns the floor at which it may come back, nil when it never was a member.
    ///
    /// What it said after it left binds nobody: no configuration of a leader to come counts it.
    func forget(_ node: Int) -> Raft.Position? {
        guard let floor = departures[node] else { return nil }
        votes[node].removeLast(max(0, votes[node].count - Int(floor.term.rawValue) - 1))
        return floor
    }

    /// C1: a client is told that its operation stands at `index`.
    func answer(_ operation: UInt64, at index: LogIndex) -> String? {
        answered = max(answered, index)
        guard entry(at: index)?.payload == operation else {
            return "C1: operation \(operation) was answered for entry \(index), which is not committed with it"
        }
        return nil
    }

    /// C2: a client reads at `index`, having asked when `known` was answered.
    func read(at index: LogIndex, known: LogIndex) -> String? {
        index < known ? "C2: a read at \(index) misses \(known), which was answered before it began" : nil
    }

    /// C4: a leader of `term` serves a high watermark.
    func serve(_ index: LogIndex, in term: Term) -> String? {
        let place = Int(term.rawValue)
        while served.count <= place { served.append(.zero) }
        if let before = served[...place].max(), before > index {
            return "C4: term \(term) serves high watermark \(index), \(before) was served before"
        }
        served[place] = index
        return nil
    }
}
