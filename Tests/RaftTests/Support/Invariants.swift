// SPDX-License-Identifier: Apache-2.0
//
// Invariants.swift
// What must hold for every replica at every step. Numbers are those of the design (A1 to A10).

import Model
import Raft

/// Watches the directives of all replicas.
///
/// Not checked here: A11 (untrusted replicas), which has scripts of its own.
final class Invariants {
    private var leaders: [Term: NodeID] = [:]
    private var votes: [NodeID: [Term: NodeID]] = [:]
    private var terms: [NodeID: Term] = [:]
    private var created: [Raft.Position: (previous: Term, text: String)] = [:]
    private(set) var committed: [LogIndex: Raft.Position] = [:]
    private(set) var violations: [String] = []
    private var checksQuorums = true

    func check(_ directive: Raft.Directive<String>, on node: TestNode, in nodes: [TestNode]) {
        switch directive {
        case .becameLeader(let term): checkLeader(node, term)
        case .append(let entries): checkMatching(entries, node)
        case .truncate(let from):
            expect(node.raft?.role != .leader, "A6: leader \(node.id) truncates from \(from)")
            expect(from > node.committed, "A7: node \(node.id) truncates \(from), committed \(node.committed)")
        case .commit(let index): checkCommit(index, node, nodes)
        case .installSnapshot(let info):
            expect(info.position.index > node.committed, "A8: stale snapshot \(info.position) on \(node.id)")
            if let known = committed[info.position.index] {
                expect(known == info.position, "A4: snapshot \(info.position), committed \(known)")
            }
            node.committed = info.position.index
        case .send(let message): checkMessage(message, node)
        default: break
        }
    }

    /// Records a problem that somebody else saw.
    func note(_ text: String) { violations.append(text) }

    /// A disk was destroyed: its replica's promises are void, and what was flushed on a quorum may no longer be.
    func forget(_ id: NodeID) {
        terms[id] = nil
        checksQuorums = false
    }

    /// What holds between events.
    func checkState(_ node: TestNode) {
        guard let raft = node.raft else { return }
        expect(raft.term >= terms[node.id] ?? .zero, "A2: term of \(node.id) went back to \(raft.term)")
        terms[node.id] = max(terms[node.id] ?? .zero, node.disk.hardState.term)
        expect(raft.lastIndex == node.memory.last, "log of \(node.id): \(raft.lastIndex), stored \(node.memory.last)")
        // While a snapshot is being installed, the log begins at its position, which is not yet durable.
        let isInstalling = node.pending.contains { if case .install = $0 { true } else { false } }
        expect(
            isInstalling || raft.flushedIndex <= node.disk.last,
            "flushed \(raft.flushedIndex) on \(node.id): \(node.disk.last)")
        expect(raft.committedIndex == node.committed, "commit of \(node.id): \(raft.committedIndex)")
    }

    /// A10, and that what is believed flushed is what the disk holds.
    ///
    /// Costs a walk over the log: not for every step.
    func checkLog(_ node: TestNode) {
        guard let raft = node.raft else { return }
        let stored = node.memory.configurations
        expect(
            raft.configurations.current == stored.current || raft.configurations.elements.count == 1,
            "A10: node \(node.id) uses \(raft.configuration), its log says \(stored.current)")
        for index in (raft.firstIndex.rawValue..<raft.flushedIndex.next.rawValue).map(LogIndex.init(rawValue:)) {
            let stored = node.disk.term(at: index)?.description ?? "nothing"
            expect(
                node.disk.term(at: index) == raft.term(at: index),
                "A9: node \(node.id) takes \(index) for flushed, the disk holds \(stored)")
        }
    }

    private func checkLeader(_ node: TestNode, _ term: Term) {
        expect(leaders[term] ?? node.id == node.id, "A1: \(node.id) and \(leaders[term] ?? node.id) lead term \(term)")
        leaders[term] = node.id
        expect(node.disk.hardState.term == term, "A9: leader \(node.id) of term \(term) has \(node.disk.hardState)")
        for (index, position) in committed where index > node.memory.base.index {
            expect(
                node.memory.term(at: index) == position.term,
                "A4: leader \(node.id) of term \(term) lacks \(position)")
        }
    }

    private func checkMatching(_ entries: [Entry], _ node: TestNode) {
        for entry in entries {
            let previous = node.memory.term(at: entry.index.previous) ?? .zero
            if let known = created[entry.position] {
                expect(
                    known.previous == previous && known.text == entry.text,
                    "A3: \(entry.position) is \(known) and on node \(node.id) \(entry.text) after \(previous)")
            } else {
                created[entry.position] = (previous, entry.text)
            }
        }
    }

    private func checkCommit(_ index: LogIndex, _ node: TestNode, _ nodes: [TestNode]) {
        expect(index > node.committed, "A2: commit of \(node.id) from \(node.committed) to \(index)")
        var next = max(node.committed, node.memory.base.index).next
        while next <= index {
            guard let term = node.memory.term(at: next) else { break }
            let position = Raft.Position(index: next, term: term)
            expect(
                committed[next] ?? position == position,
                "A4: \(position) on \(node.id), was \(String(describing: committed[next]))")
            committed[next] = position
            next = next.next
        }
        node.committed = index
        guard checksQuorums, let raft = node.raft, raft.role == .leader, let term = raft.term(at: index) else { return }
        let flushed: (NodeID) -> Bool? = { id in
            nodes.first { $0.id == id }.map { $0.disk.term(at: index) == term || $0.disk.base.index >= index }
        }
        // A later configuration may have been in effect: it is from the moment it is appended.
        let history = node.memory.configurations
        let inEffect = history.elements.filter { $0.index >= history.element(at: index).index }
        expect(
            inEffect.contains { $0.configuration.poll(answer: flushed) == .won },
            "A5: \(index)/\(term) is not flushed on a quorum")
    }

    private func checkMessage(_ message: Message, _ node: TestNode) {
        let durable = node.disk.hardState
        switch message.body {
        case .voteRequest(let request) where request.isPreVote: break
        case .voteResponse(let response) where response.isPreVote && response.isGranted: break
        case .voteResponse(let response) where response.isGranted:
            expect(durable == Raft.HardState(term: message.term, votedFor: message.to), "A9: vote of \(node.id)")
            let before = votes[node.id, default: [:]].updateValue(message.to, forKey: message.term)
            expect(before ?? message.to == message.to, "A2: \(node.id) votes twice in \(message.term)")
        case .appendResponse(let response) where response.rejection == nil:
            expect(
                response.flushed <= node.disk.last, "A9: \(node.id) says \(response.flushed), disk \(node.disk.last)")
            fallthrough
        default: expect(message.term <= durable.term, "A9: \(node.id) reveals \(message.term), durable \(durable)")
        }
    }

    private func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition { violations.append(text()) }
    }
}

extension Raft.Entry {
    var position: Raft.Position { Raft.Position(index: index, term: term) }
}

extension Entry {
    /// The content in a word.
    var text: String { described { $0 } }
}
