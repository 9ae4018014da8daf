// SPDX-License-Identifier: Apache-2.0
//
// GroupHosts.swift
// The hosts of all loops of a broker: brings what peers send to the loop of its group, one hop for each batch.

public import Model
public import NIOCore
internal import Synchronization

/// The way from the peers' connections to the replicas.
///
/// Any thread. Groups live on the loop that their number says, as everything of a broker does.
public final class GroupHosts: Sendable {
    private let hosts: [NIOLoopBound<GroupHost>]
    private let loops: [any EventLoop]
    /// The parts of rosters for several loops, kept so that the same roster has the same parts.
    private let splits = Mutex<[RosterSource: Split]>([:])

    private struct Split {
        let whole: HeartbeatRoster
        let parts: [HeartbeatRoster?]
    }

    /// Takes the hosts of all loops, in the order of the loops; must be called on one of them or before they run.
    ///
    /// Each host was made for the loop in the same place.
    public init(_ hosts: [NIOLoopBound<GroupHost>], loops: [any EventLoop]) {
        precondition(hosts.count == loops.count && !hosts.isEmpty, "\(hosts.count) hosts for \(loops.count) loops")
        self.hosts = hosts
        self.loops = loops
    }

    /// The place of a group's loop: the broker's own groups are on the first.
    private func place(of group: GroupID) -> Int {
        group < .firstPartition ? 0 : Int(group.rawValue % UInt64(hosts.count))
    }

    /// Messages of a peer, as ``PeerEvents/messages`` brings them.
    public func receive(_ messages: [PeerMessage], from peer: NodeID) {
        guard hosts.count > 1 else { return deliver(messages, from: peer, to: 0) }
        var batches = [[PeerMessage]](repeating: [], count: hosts.count)
        for message in messages { batches[place(of: message.group)].append(message) }
        for (place, batch) in batches.enumerated() where !batch.isEmpty { deliver(batch, from: peer, to: place) }
    }

    private func deliver(_ messages: [PeerMessage], from peer: NodeID, to place: Int) {
        let host = hosts[place]
        let loop = loops[place]
        if loop.inEventLoop { return host.value.receive(messages, from: peer) }
        loop.execute { host.value.receive(messages, from: peer) }
    }

    /// A connection to a peer came up, or was lost, as ``PeerEvents/peer`` says.
    public func connection(_ peer: NodeID, _ news: PeerState) {
        guard news == .down else { return }
        for (host, loop) in zip(hosts, loops) { loop.execute { host.value.disconnected(from: peer) } }
    }

    /// A roster of a peer, as ``PeerEvents/heartbeats`` brings it.
    public func receive(_ roster: HeartbeatRoster, from peer: NodeID) {
        let parts = hosts.count > 1 ? parts(of: roster, from: peer) : [roster]
        for (place, part) in parts.enumerated() {
            guard let part else { continue }
            let host = hosts[place]
            if loops[place].inEventLoop {
                host.value.receive(part, from: peer)
            } else {
                loops[place].execute { host.value.receive(part, from: peer) }
            }
        }
    }

    private func parts(of roster: HeartbeatRoster, from peer: NodeID) -> [HeartbeatRoster?] {
        let source = RosterSource(roster, of: peer)
        return splits.withLock { splits in
            if let known = splits[source], known.whole === roster { return known.parts }
            var rows = [[HeartbeatRow]](repeating: [], count: hosts.count)
            for row in roster.rows { rows[place(of: row.group)].append(row) }
            let parts = rows.map { $0.isEmpty ? nil : HeartbeatRoster(roster.kind, name: roster.name, rows: $0) }
            splits[source] = Split(whole: roster, parts: parts)
            return parts
        }
    }

    /// Serves the requests that replicas make of each other.
    public func serve(on table: PeerRequestTable) {
        for type in [PeerRequestType.snapshotManifest, .snapshotRange] {
            table.serve(type) { [self] request, answer in
                guard let asked = SnapshotRequest(request.body) else {
                    return answer(.failure(.failed("not a request for a snapshot")))
                }
                let place = place(of: asked.group)
                let host = hosts[place]
                loops[place].execute { host.value.serve(asked, answer: answer) }
            }
        }
    }
}
