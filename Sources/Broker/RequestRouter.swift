// SPDX-License-Identifier: Apache-2.0
//
// RequestRouter.swift
// From a frame to the handler of its API. What is not served never reaches a handler.

import KafkaProtocol
package import NIOCore
import Telemetry

extension Broker {
    /// Serves one request.
    ///
    /// Called on the event loop of its connection; answers at any later time, from any thread.
    ///
    /// A request that cannot be decoded, and an API or version that is not served, close the connection; except
    /// ApiVersions, which answers with the versions it knows (KIP-511).
    package func handle(_ call: Call, body: ByteBuffer) {
        guard let key = call.header.key else {
            metrics.unknownRequests.increment()
            return call.answer.close("unknown API key \(call.header.apiKey)")
        }
        guard call.header.isServed else { return refuseVersion(call, key) }
        do {
            let request = try RequestDecoder.decode(call.header, body: body)
            metrics.request(key).increment()
            if let forwarder, Self.isForController(request), !call.isForwarded {
                return forwarder.forward(call, body: body) { [self] outcome in
                    if case .serveHere = outcome { route(request, call) }
                }
            }
            route(request, call)
        } catch {
            metrics.malformedRequests.increment()
            call.answer.close("malformed \(key.name) v\(call.version): \(error)")
        }
    }

    private func refuseVersion(_ call: Call, _ key: APIKey) {
        guard key == .apiVersions else {
            metrics.unknownRequests.increment()
            return call.answer.close("\(key.name) v\(call.version) is not served")
        }
        metrics.request(key).increment()
        call.answer.send(ResponseEncoder.unsupportedApiVersions(correlationID: call.header.correlationID))
    }

    private func route(_ request: KafkaRequest, _ call: Call) {
        switch request {
        case .produce(let request): produce(request, call)
        case .fetch(let request): fetch(request, call)
        case .listOffsets(let request): listOffsets(request, call)
        case .metadata(let request): metadata(request, call)
        case .offsetForLeaderEpoch(let request): offsetForLeaderEpoch(request, call)
        case .apiVersions(let request): apiVersions(request, call)
        case .describeCluster(let request): describeCluster(request, call)
        case .describeTopicPartitions(let request): describeTopicPartitions(request, call)
        case .consumerGroupHeartbeat(let request): consumerGroupHeartbeat(request, call)
        case .consumerGroupDescribe(let request): consumerGroupDescribe(request, call)
        case .getTelemetrySubscriptions(let request): getTelemetrySubscriptions(request, call)
        case .pushTelemetry(let request): pushTelemetry(request, call)
        case .listConfigResources(let request): listConfigResources(request, call)
        case .describeQuorum(let request): describeQuorum(request, call)
        case .describeLogDirs(let request): describeLogDirs(request, call)
        case .electLeaders(let request): electLeaders(request, call)
        case .alterPartitionReassignments(let request): alterPartitionReassignments(request, call)
        case .listPartitionReassignments(let request): listPartitionReassignments(request, call)
        case .createTopics(let request): createTopics(request, call)
        case .deleteTopics(let request): deleteTopics(request, call)
        case .createPartitions(let request): createPartitions(request, call)
        case .deleteRecords(let request): deleteRecords(request, call)
        case .describeConfigs(let request): describeConfigs(request, call)
        case .alterConfigs(let request): alterConfigs(request, call)
        case .incrementalAlterConfigs(let request): incrementalAlterConfigs(request, call)
        case .initProducerID(let request): initProducerID(request, call)
        case .findCoordinator(let request): findCoordinator(request, call)
        case .offsetCommit(let request): offsetCommit(request, call)
        case .offsetFetch(let request): offsetFetch(request, call)
        case .joinGroup(let request): joinGroup(request, call)
        case .heartbeat(let request): heartbeat(request, call)
        case .leaveGroup(let request): leaveGroup(request, call)
        case .syncGroup(let request): syncGroup(request, call)
        case .describeGroups(let request): describeGroups(request, call)
        case .listGroups(let request): listGroups(request, call)
        case .deleteGroups(let request): deleteGroups(request, call)
        case .offsetDelete(let request): offsetDelete(request, call)
        case .addPartitionsToTxn(let request): addPartitionsToTxn(request, call)
        case .addOffsetsToTxn(let request): addOffsetsToTxn(request, call)
        case .endTxn(let request): endTxn(request, call)
        case .writeTxnMarkers(let request): writeTxnMarkers(request, call)
        case .describeProducers(let request): describeProducers(request, call)
        case .txnOffsetCommit(let request): txnOffsetCommit(request, call)
        case .describeTransactions(let request): describeTransactions(request, call)
        case .listTransactions(let request): listTransactions(request, call)
        case .shareGroupHeartbeat(let request): shareGroupHeartbeat(request, call)
        case .shareGroupDescribe(let request): shareGroupDescribe(request, call)
        case .describeShareGroupOffsets(let request): describeShareGroupOffsets(request, call)
        case .alterShareGroupOffsets(let request): alterShareGroupOffsets(request, call)
        case .deleteShareGroupOffsets(let request): deleteShareGroupOffsets(request, call)
        case .shareFetch(let request): shareFetch(request, call)
        case .shareAcknowledge(let request): shareAcknowledge(request, call)
        }
    }
}
