// SPDX-License-Identifier: Apache-2.0
//
// World+Checks.swift
// What must hold at every step of every replica. Numbers are those of the invariants in README.md.

internal import Model
internal import Raft

extension World {
    /// A9: nothing leaves a process that a crash at this moment would make it forget.
    func checkMessage(_ message: Message, _ node: Node, _ group: Int) {
        let durable = node.store.durable[group]
        let isAmnesiac = node.replicas[group].standing == .amnesiac
        switch message.body {
        case .voteRequest(let request) where request.isPreVote: return
        case .voteResponse(let response) where response.isPreVote && response.isGranted:
            if isAmnesiac { fail("A11: amnesiac node \(node.id) grants a pre-vote") }
            return
        case .voteResponse(let response) where response.isGranted:
            if isAmnesiac { fail("A11: amnesiac node \(node.id) votes") }
            if durable.hardState != Raft.HardState(term: message.term, votedFor: message.to) {
                fail("A9: node \(node.id) votes for \(message.to) in \(message.term), stored is \(durable.hardState)")
            }
            check(histories[group].voted(node.number, message.term, for: message.to))
            check(histories[group].granted(to: message.to, in: message.term, following: node.replicas[group].followed))
        case .voteRequest:
            if durable.hardState != Raft.HardState(term: message.term, votedFor: node.id) {
                fail("A9: node \(node.id) campaigns in \(message.term), stored is \(durable.hardState)")
            }
        case .appendResponse(let response) where response.rejection == nil: checkFlushed(response, node, group)
        default: break
        }
        checkFollowing(message, node, group)
        if message.term > durable.hardState.term {
            fail("A9: node \(node.id) reveals term \(message.term), stored is \(durable.hardState)")
        }
    }

    /// A9: who answers a leader has used up its vote of that term, and will not forget it.
    private func checkFollowing(_ message: Message, _ node: Node, _ group: Int) {
        let stored = node.store.durable[group].hardState
        guard let followed = node.replicas[group].followed, followed == (message.term, message.to) else { return }
        switch message.body {
        case .appendResponse, .heartbeatResponse:
            if stored.term == message.term && stored.votedFor == nil {
                fail("A9: node \(node.id) follows \(message.to) in \(message.term) and has its vote left")
            }
        default: break
        }
    }

    private func checkFlushed(_ response: Raft.AppendResponse, _ node: Node, _ group: Int) {
        let (durable, mirror) = (node.store.durable[group], node.store.mirror[group])
        if response.flushed > response.appended {
            fail("A8: node \(node.id) says flushed \(response.flushed) of \(response.appended)")
        }
        if case .corrupt(let from) = node.replicas[group].standing, response.flushed >= from {
            fail("A11: node \(node.id), corrupt from \(from), confirms \(response.flushed)")
        }
        guard response.flushed > durable.base.index, response.flushed >= mirror.base.index else { return }
        if durable.chain(at: response.flushed) != mirror.chain(at: response.flushed) {
            fail("A9: node \(node.id) says flushed \(response.flushed), stored is \(durable.summary)")
        }
    }

    /// A11: a replica that may not lead does not try.
    func checkMayLead(_ node: Node, _ group: Int) {
        let standing = node.replicas[group].standing
        if standing != .sound { fail("A11: node \(node.id) campaigns or leads, \(standing)") }
    }

    /// A5: what a leader commits is flushed on a quorum of the configuration in effect.
    func checkQuorum(_ index: LogIndex, _ node: Node, _ group: Int) {
        let chain = node.store.mirror[group].chain(at: index)
        let result = node.replicas[group].configuration.poll { id in
            let peer = self.node(id)
            let durable = peer.store.durable[group]
            if peer.confirmedBeforeDamage[group] >= index { return true }
            if durable.isAmnesiac { return false }
            return durable.base.index >= index || durable.chain(at: index) == chain
        }
        if result != .won { fail("A5: node \(node.id) commits \(index), which no quorum has flushed") }
    }

    /// What holds between events.
    func checkState(_ node: Node, _ group: Int) {
        guard node.isUp, let core = node.replicas[group].core else { return }
        let mirror = node.store.mirror[group]
        if core.lastIndex != mirror.last {
            fail("A8: node \(node.id) believes in log end \(core.lastIndex), stored is \(mirror.last)")
        }
        let base = max(mirror.base.index, core.firstIndex.previous)
        if core.configurationIndex != mirror.configuration.index && core.configurationIndex > base
            || core.configuration != mirror.configuration.configuration
        {
            fail("A10: node \(node.id) uses \(core.configuration), its log says \(mirror.configuration.configuration)")
        }
        if core.committedIndex != node.replicas[group].committed {
            fail("A8: node \(node.id) believes in commit \(core.committedIndex)")
        }
        if core.term < node.store.durable[group].hardState.term {
            fail("A2: term of node \(node.id) is \(core.term), stored \(node.store.durable[group].hardState)")
        }
        checkServed(core, node, group)
    }

    /// C4: clients of a leader see its high watermark, once it may show it.
    private func checkServed(_ core: Core, _ node: Node, _ group: Int) {
        guard core.isLeader, node.store.mutation == .serveUnconfirmed || core.isTermConfirmed else { return }
        check(histories[group].serve(core.committedIndex, in: core.term))
    }
}
