// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+Cluster.swift
// Keys of the section cluster, and the listener for other brokers.

import Model

extension Catalogue {
    // MARK: the peer listener

    static let listenersPeer = SettingKey<NetworkAddress?>(
        "listeners.peer", .address(optional: true), default: "", .high,
        """
        Where other brokers connect. Not set: this broker's own address in `cluster.peers`; without peers there is no \
        such listener.
        """)
    static let listenersAdvertisedPeer = SettingKey<NetworkAddress?>(
        "listeners.advertised_peer", .address(optional: true), default: "", .high,
        """
        The address other brokers are told to use. Not set: this broker's own address in `cluster.peers`, or that of \
        `listeners.peer`.
        """)

    // MARK: cluster

    static let clusterPeers = SettingKey<[PeerAddress]>(
        "cluster.peers", .list(.peers), default: "", .high,
        """
        The brokers that form the cluster, this one among them; the same list on each of them, and not changed later. \
        Only ids, without addresses, where discovery finds those. Not set: this broker is alone.
        """)
    static let clusterJoin = SettingKey<Bool>(
        "cluster.join", .boolean, default: "false", .high,
        """
        This broker enters a cluster that exists, as a new one or in the place of one that lost its disk; \
        `cluster.peers` says whom it asks. It holds nothing until the cluster gives it something.
        """)
    static let clusterDiscovery = SettingKey<DiscoveryKind>(
        "cluster.discovery", default: .static, .medium,
        "Who knows the brokers' addresses: `cluster.peers` alone, DNS, etcd or Consul.")
    static let clusterDiscoveryName = SettingKey<String>(
        "cluster.discovery_name", .text(bytesMax: 253), default: "", .medium,
        """
        With `dns`: the name that is asked. A name that begins with `_` is asked for SRV records, whose targets end \
        their first label with the broker's id (`broker-2.example.com`); `{id}` in any other name is replaced by it.
        """)
    static let clusterDiscoveryEndpoints = SettingKey<[NetworkAddress]>(
        "cluster.discovery_endpoints", .list(.addresses), default: "", .medium,
        """
        With `etcd` or `consul`: where their HTTP is served, tried one after the other. With `dns`: the name servers, if \
        not those of the machine.
        """)
    static let clusterDiscoveryPrefix = SettingKey<String>(
        "cluster.discovery_prefix", .text(bytesMax: 256), default: "goulette/brokers", .medium,
        "With `etcd`: what the keys of this cluster's brokers begin with. With `consul`: the service's name.")
    static let clusterDiscoveryTokenFile = SettingKey<String>(
        "cluster.discovery_token_file", .text(bytesMax: 4096), default: "", .medium,
        "With `consul`: a file with the access token.")
    static let clusterDiscoveryInterval = SettingKey<Duration>(
        "cluster.discovery_interval", .duration(milliseconds(100)...seconds(3600)), default: "10s", .low,
        "How often discovery is asked again.")
    static let clusterDiscoveryLease = SettingKey<Duration>(
        "cluster.discovery_lease", .duration(seconds(2)...seconds(3600)), default: "15s", .low,
        "With `etcd` or `consul`: how long a registration outlives its broker; it is renewed three times as often.")
    static let clusterPeerAllowlist = SettingKey<[AddressRange]>(
        "cluster.peer_allowlist", .list(.ranges), default: "", .medium,
        "The addresses from which brokers may connect, as `10.0.0.0/8`. Empty: all.")

    static let clusterTLSCertificateFile = SettingKey<String>(
        "cluster.tls_certificate_file", .text(bytesMax: 4096), default: "", .high,
        """
        This broker's certificate chain (PEM). With it brokers talk TLS and check each other: `broker-ID` must be among \
        the certificate's DNS names (subject alternative names); the common name does not count.
        """)
    static let clusterTLSKeyFile = SettingKey<String>(
        "cluster.tls_key_file", .text(bytesMax: 4096), default: "", .high, "The certificate's private key (PEM).")
    static let clusterTLSAuthorityFile = SettingKey<String>(
        "cluster.tls_ca_file", .text(bytesMax: 4096), default: "", .high,
        "The certificates of the authorities that brokers' certificates come from (PEM).")

    static let clusterHeartbeatInterval = SettingKey<Duration>(
        "cluster.heartbeat_interval", .duration(milliseconds(50)...seconds(60)), default: "200ms", .low,
        "How often leaders show that they are there. The same on all brokers.")
    static let clusterElectionTimeout = SettingKey<Duration>(
        "cluster.election_timeout", .duration(milliseconds(250)...seconds(600)), default: "1s", .medium,
        """
        After so long without its leader a replica asks for votes, and a leader without its followers steps down. \
        Shorter is a faster failover, and more elections where pauses are common. The same on all brokers.
        """)
    static let clusterFailureTimeout = SettingKey<Duration>(
        "cluster.failure_timeout", .duration(milliseconds(500)...seconds(86_400)), default: "5s", .medium,
        "After so long without its heartbeat a broker counts as failed, and leads nothing that others could lead.")
    static let clusterReplicaReplacementGrace = SettingKey<Duration>(
        "cluster.replica_replacement_grace", .duration(0...days(30)), default: "30m", .medium,
        "How long a broker may have failed before its replicas are made anew on others. 0: never.")
    static let clusterRecoveryConcurrency = SettingKey<Int>(
        "cluster.recovery_concurrency", .integer(1...256), default: "4", .low,
        "Replicas that this broker copies from others at the same time.")
    static let clusterRecoveryRate = SettingKey<ByteCount>(
        "cluster.recovery_rate", .bytes(0...1 << 40), default: "100 MiB", .medium,
        "What this broker copies from others in a second at most. 0: all it can.")
    static let clusterPlacement = SettingKey<PlacementPolicy>(
        "cluster.placement", default: .roundRobin, .medium,
        """
        Where replicas of new partitions go: one broker after the other; the same, with the replicas of a partition in \
        different racks; or by a consistent hash of topic and partition.
        """)

    static let peerListener = [listenersPeer.definition, listenersAdvertisedPeer.definition]
    static let cluster = [
        clusterPeers.definition, clusterJoin.definition, clusterDiscovery.definition,
        clusterDiscoveryName.definition, clusterDiscoveryEndpoints.definition, clusterDiscoveryPrefix.definition,
        clusterDiscoveryTokenFile.definition, clusterDiscoveryInterval.definition, clusterDiscoveryLease.definition,
        clusterPeerAllowlist.definition, clusterTLSCertificateFile.definition, clusterTLSKeyFile.definition,
        clusterTLSAuthorityFile.definition, clusterHeartbeatInterval.definition, clusterElectionTimeout.definition,
        clusterFailureTimeout.definition, clusterReplicaReplacementGrace.definition,
        clusterRecoveryConcurrency.definition, clusterRecoveryRate.definition, clusterPlacement.definition,
    ]
}

/// See `cluster.discovery`.
public enum DiscoveryKind: String, CaseIterable, Sendable, SettingConvertible {
    /// The list `cluster.peers`.
    case `static`
    /// A or SRV records.
    case dns
    /// Keys under a lease.
    case etcd
    /// A service with a check.
    case consul
}

/// See `cluster.placement`.
public enum PlacementPolicy: String, CaseIterable, Sendable, SettingConvertible {
    /// One broker after the other, preferred leaders spread.
    case roundRobin = "round-robin"
    /// The same, with replicas in different racks.
    case rackAware = "rack-aware"
    /// A ring of virtual nodes.
    case consistentHash = "consistent-hash"
}
