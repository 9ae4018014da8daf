// SPDX-License-Identifier: Apache-2.0
//
// ClusterSettings.swift
// What a broker needs to know to be one of several.

public import Model

extension BrokerSettings {
    /// Section `cluster` and the peer listener.
    ///
    /// A broker that is alone has none.
    public struct Cluster: Sendable, Equatable {
        /// Where other brokers connect.
        public var peerListen: NetworkAddress
        /// What other brokers are told.
        public var peerAdvertised: NetworkAddress
        /// Key `cluster.peers`, in the order of ids.
        public var peers: [PeerAddress]
        /// Key `cluster.join`.
        public var joins: Bool
        /// How addresses are found.
        public var discovery: Discovery
        /// Key `cluster.peer_allowlist`; empty means all.
        public var peerAllowlist: [AddressRange]
        /// Nil: brokers talk in the clear.
        public var tls: PeerTLSFiles?
        /// Key `cluster.heartbeat_interval`.
        public var heartbeatInterval: Duration
        /// Key `cluster.election_timeout`.
        public var electionTimeout: Duration
        /// Key `cluster.failure_timeout`.
        public var failureTimeout: Duration
        /// Key `cluster.replica_replacement_grace`; nil: never.
        public var replicaReplacementGrace: Duration?
        /// Key `cluster.recovery_concurrency`.
        public var recoveryConcurrency: Int
        /// Key `cluster.recovery_rate`, bytes in a second; nil: without limit.
        public var recoveryRate: ByteCount?
        /// Key `cluster.placement`.
        public var placement: PlacementPolicy
    }

    /// The keys `cluster.discovery…`.
    public struct Discovery: Sendable, Equatable {
        /// Key `cluster.discovery`.
        public var kind: DiscoveryKind
        /// Key `cluster.discovery_name`.
        public var name: String
        /// Key `cluster.discovery_endpoints`.
        public var endpoints: [NetworkAddress]
        /// Key `cluster.discovery_prefix`.
        public var prefix: String
        /// Key `cluster.discovery_token_file`.
        public var tokenFile: String?
        /// Key `cluster.discovery_interval`.
        public var interval: Duration
        /// Key `cluster.discovery_lease`.
        public var lease: Duration
    }

    /// The keys `cluster.tls_…`.
    public struct PeerTLSFiles: Sendable, Equatable {
        /// Key `cluster.tls_certificate_file`.
        public var certificate: String
        /// Key `cluster.tls_key_file`.
        public var key: String
        /// Key `cluster.tls_ca_file`.
        public var authorities: String
    }
}

extension ResolvedSettings {
    /// Nil when this broker is alone.
    var cluster: BrokerSettings.Cluster? {
        let peers = self[Catalogue.clusterPeers].sorted { $0.id < $1.id }
        guard !peers.isEmpty, let listen = peerListen else { return nil }
        let grace = self[Catalogue.clusterReplicaReplacementGrace]
        let rate = self[Catalogue.clusterRecoveryRate]
        return .init(
            peerListen: listen, peerAdvertised: self[Catalogue.listenersAdvertisedPeer] ?? ownPeerAddress ?? listen,
            peers: peers, joins: self[Catalogue.clusterJoin], discovery: discovery,
            peerAllowlist: self[Catalogue.clusterPeerAllowlist], tls: peerTLS,
            heartbeatInterval: self[Catalogue.clusterHeartbeatInterval],
            electionTimeout: self[Catalogue.clusterElectionTimeout],
            failureTimeout: self[Catalogue.clusterFailureTimeout],
            replicaReplacementGrace: grace == .zero ? nil : grace,
            recoveryConcurrency: self[Catalogue.clusterRecoveryConcurrency],
            recoveryRate: rate.bytes == 0 ? nil : rate, placement: self[Catalogue.clusterPlacement])
    }

    /// Where the peer listener is.
    private var peerListen: NetworkAddress? { self[Catalogue.listenersPeer] ?? ownPeerAddress }

    /// This broker's address in the list of peers.
    private var ownPeerAddress: NetworkAddress? {
        self[Catalogue.clusterPeers].first { Int($0.id.rawValue) == self[Catalogue.nodeID] }?.address
    }

    private var discovery: BrokerSettings.Discovery {
        let token = self[Catalogue.clusterDiscoveryTokenFile]
        return .init(
            kind: self[Catalogue.clusterDiscovery], name: self[Catalogue.clusterDiscoveryName],
            endpoints: self[Catalogue.clusterDiscoveryEndpoints], prefix: self[Catalogue.clusterDiscoveryPrefix],
            tokenFile: token.isEmpty ? nil : token, interval: self[Catalogue.clusterDiscoveryInterval],
            lease: self[Catalogue.clusterDiscoveryLease])
    }

    private var peerTLS: BrokerSettings.PeerTLSFiles? {
        let certificate = self[Catalogue.clusterTLSCertificateFile]
        guard !certificate.isEmpty else { return nil }
        return .init(
            certificate: certificate, key: self[Catalogue.clusterTLSKeyFile],
            authorities: self[Catalogue.clusterTLSAuthorityFile])
    }

    /// What of the cluster's keys contradicts each other.
    func clusterContradictions(_ report: (_ name: String, _ message: String) -> Void) {
        typealias Keys = Catalogue
        let peers = self[Keys.clusterPeers]
        func check<Value>(_ holds: Bool, _ key: SettingKey<Value>, _ message: String) {
            if !holds { report(key.definition.name, message) }
        }
        guard !peers.isEmpty else {
            check(!self[Keys.clusterJoin], Keys.clusterJoin, "needs cluster.peers, the brokers to ask")
            check(self[Keys.listenersPeer] == nil, Keys.listenersPeer, "has no meaning without cluster.peers")
            check(
                self[Keys.clusterDiscovery] == .static, Keys.clusterDiscovery,
                "needs cluster.peers, the ids of the brokers that form the cluster")
            return
        }
        let isListed = peers.contains { Int($0.id.rawValue) == self[Keys.nodeID] }
        check(
            Set(peers.map(\.id)).count == peers.count, Keys.clusterPeers, "names a broker twice")
        check(
            Set(peers.compactMap(\.address)).count == peers.compactMap(\.address).count, Keys.clusterPeers,
            "gives two brokers the same address")
        check(
            isListed || self[Keys.clusterJoin], Keys.clusterPeers,
            "does not name this broker, \(self[Keys.nodeID]); add it, or set cluster.join to true to enter that cluster"
        )
        check(
            self[Keys.clusterDiscovery] != .static || peers.allSatisfy { $0.address != nil }, Keys.clusterPeers,
            "must give each broker's address as id@host:port unless cluster.discovery finds them")
        check(
            peerListen != nil, Keys.clusterPeers,
            "gives no address for this broker, so listeners.peer must say where other brokers connect")
        check(
            (self[Keys.listenersAdvertisedPeer] ?? ownPeerAddress ?? peerListen)?.isWildcard != true,
            self[Keys.listenersAdvertisedPeer] == nil ? Keys.listenersPeer : Keys.listenersAdvertisedPeer,
            "no broker can connect to \"every address\"; write the name or address as listeners.advertised_peer")
        checkDiscovery(check: { report($0, $1) })
        check(
            self[Keys.clusterElectionTimeout] >= self[Keys.clusterHeartbeatInterval] * 3, Keys.clusterElectionTimeout,
            "must be at least three times cluster.heartbeat_interval")
        check(
            self[Keys.clusterFailureTimeout] >= self[Keys.clusterElectionTimeout], Keys.clusterFailureTimeout,
            "is below cluster.election_timeout")
        let tls = [Keys.clusterTLSCertificateFile, Keys.clusterTLSKeyFile, Keys.clusterTLSAuthorityFile]
        let given = tls.filter { !self[$0].isEmpty }
        if let first = given.first, let missing = tls.first(where: { self[$0].isEmpty }) {
            report(first.definition.name, "needs \(missing.definition.name) beside it")
        }
    }

    private func checkDiscovery(check report: (_ name: String, _ message: String) -> Void) {
        typealias Keys = Catalogue
        let kind = self[Keys.clusterDiscovery]
        let name = Keys.clusterDiscovery.definition.name
        switch kind {
        case .static: break
        case .dns:
            let asked = self[Keys.clusterDiscoveryName]
            if asked.isEmpty { report(name, "dns needs cluster.discovery_name") }
            if !asked.isEmpty, !asked.hasPrefix("_"), !asked.contains("{id}") {
                report(
                    Keys.clusterDiscoveryName.definition.name,
                    "must begin with _ (SRV records), or contain {id}, so that the name of each broker is known")
            }
        case .etcd, .consul:
            if self[Keys.clusterDiscoveryEndpoints].isEmpty {
                report(name, "\(kind.rawValue) needs cluster.discovery_endpoints")
            }
            if self[Keys.clusterDiscoveryPrefix].isEmpty {
                report(Keys.clusterDiscoveryPrefix.definition.name, "is empty")
            }
        }
    }
}
