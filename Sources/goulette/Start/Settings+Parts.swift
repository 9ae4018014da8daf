// SPDX-License-Identifier: Apache-2.0
//
// Settings+Parts.swift
// What each part needs of the broker's settings.

import Broker
import KafkaServer
import LogStore
import Model
import Settings

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension BrokerSettings {
    /// Half of the cores unless the configuration says otherwise: the other half compresses, flushes and runs clients.
    var eventLoopCount: Int {
        performance.eventLoops > 0 ? performance.eventLoops : Self.halfOfTheCores
    }

    /// How many threads check compressed batches.
    var validationThreadCount: Int {
        performance.validationThreads > 0 ? performance.validationThreads : Self.halfOfTheCores
    }

    private static var halfOfTheCores: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) / 2) }
}

extension StoreSettings {
    /// The store's part of the broker's settings.
    init(_ settings: BrokerSettings) {
        self.init(directory: settings.storage.directory)
        journal = JournalMode(rawValue: settings.storage.journal.rawValue) ?? .auto
        // Whole blocks: the journal is written past the page cache.
        journalFile = ByteCount(settings.storage.journalFileBytes.bytes & ~4095)
        recycledSegments = settings.storage.recycleBytes.bytes / (64 << 20)
        nodeID = settings.node.id
        journalFiles = settings.storage.journalFiles
        checkpointMilliseconds = settings.storage.checkpointInterval.milliseconds
        tailCache = settings.storage.writeBufferBytes
        readCache = settings.storage.readCacheBytes
        diskReserve = settings.storage.diskReserveBytes
        compactionMemory = settings.storage.compactionMemoryBytes
        compactionBytesPerSecond = settings.storage.compactionRateBytes.bytes
        compressionLevel = settings.storage.compression == .none ? 0 : Int32(settings.storage.compressionLevel)
    }
}

extension NetworkAddress {
    /// Whether only this machine can connect to it.
    var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}

extension ListenerSettings {
    /// The listener's part of the broker's settings.
    init(_ listeners: BrokerSettings.Listeners) {
        self.init(
            host: listeners.kafka.host, port: listeners.kafka.port, advertisedHost: listeners.advertised.host,
            advertisedPort: listeners.advertised.port)
        connectionsMax = listeners.maxConnections
        connectionsPerAddressMax = listeners.maxConnectionsPerIP
        idleTimeoutMilliseconds = listeners.idleTimeout.milliseconds
        partialFrameTimeoutMilliseconds = listeners.partialFrameTimeout.milliseconds
        requestBytesMax = listeners.maxRequestBytes.bytes
        inflightRequestsPerConnectionMax = listeners.maxInflightRequestsPerConnection
        inflightBytesPerConnectionMax = listeners.maxInflightBytesPerConnection.bytes
        inflightBytesMax = listeners.maxInflightBytes.bytes
        responseBacklogBytesMax = listeners.maxResponseBacklogBytes.bytes
    }
}
