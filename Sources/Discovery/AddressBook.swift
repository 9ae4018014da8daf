// SPDX-License-Identifier: Apache-2.0
//
// AddressBook.swift
// What is known of brokers' addresses: the configuration's, and what discovery found last.

public import Model
public import Settings

/// Brokers and where their peer listeners are.
///
/// A broker that discovery does not name any more keeps its last address: a directory that forgot is a reason to look
/// again, not to stop talking.
public struct AddressBook: Sendable, Equatable {
    /// The addresses that are known, without this broker's own.
    public private(set) var addresses: [NodeID: NetworkAddress] = [:]
    /// The broker whose book it is.
    public let node: NodeID

    /// Begins with the configured addresses.
    public init(node: NodeID, peers: [PeerAddress]) {
        self.node = node
        for peer in peers where peer.id != node { addresses[peer.id] = peer.address }
    }

    /// Takes over what was found; returns what became different, in the order of ids.
    public mutating func update(_ found: [NodeID: NetworkAddress]) -> [PeerAddress] {
        found.filter { $0.key != node && addresses[$0.key] != $0.value }.sorted { $0.key < $1.key }
            .map { id, address in
                addresses[id] = address
                return PeerAddress(id: id, address: address)
            }
    }
}
