// SPDX-License-Identifier: Apache-2.0
//
// APIRegistryTests.swift
// The registry is complete and consistent, and the ApiVersions answers follow from it.

import Testing

@testable import KafkaProtocol

@Suite struct APIRegistryTests {
    @Test func everyKeyHasOneEntryInRisingOrder() {
        let known = APIRegistry.served + APIRegistry.prepared
        #expect(Set(known.map(\.key)) == Set(APIKey.allCases) && known.count == APIKey.allCases.count)
        for list in [APIRegistry.served, APIRegistry.prepared] {
            #expect(list.map(\.key.rawValue) == list.map(\.key.rawValue).sorted())
        }
        #expect(Set(known.map(\.name)).count == APIKey.allCases.count)
        for key in APIKey.allCases { #expect(APIRegistry[key].key == key) }
    }

    @Test func onlyProduceAdvertisesVersionsThatItRefuses() {
        for api in APIRegistry.served {
            if api.key == .produce {
                #expect(api.advertised == 0...13 && api.served == 3...13)
            } else {
                #expect(api.advertised == api.served)
            }
            // What came before the first version that is served may have been flexible, too.
            if let flexibleFrom = api.flexibleFrom { #expect(flexibleFrom <= api.served.upperBound) }
        }
    }

    @Test func authenticationIsNotAdvertised() {
        let keys = Set(ApiVersionsResponse.served().apiKeys.map(\.apiKey))
        #expect(keys.isDisjoint(with: [17, 36]))
        #expect(keys.count == 52)
    }

    /// kafka-python takes the highest of these for the broker's release: all of them name 4.3, so that none is missing
    /// which it would look for.
    @Test func theRangesNameOneRelease() {
        #expect(APIRegistry[.describeLogDirs].advertised.upperBound == 5)
        #expect(APIRegistry[.listOffsets].advertised.upperBound == 11)
        #expect(APIRegistry[.produce].advertised.upperBound == 13)
        #expect(APIRegistry[.fetch].advertised.upperBound == 18)
        #expect(APIRegistry[.metadata].advertised.upperBound == 13)
        #expect(APIRegistry[.joinGroup].advertised.upperBound == 9)
    }

    @Test func featuresAreInForceAtTheirHighestLevel() {
        let answer = ApiVersionsResponse.served(version: 4)
        #expect(
            answer.supportedFeatures == [
                .init(name: "group.version", minVersion: 1, maxVersion: 1),
                .init(name: "share.version", minVersion: 1, maxVersion: 1),
                .init(name: "transaction.version", minVersion: 0, maxVersion: 2),
            ])
        #expect(
            answer.finalizedFeatures == [
                .init(name: "group.version", maxVersionLevel: 1, minVersionLevel: 1),
                .init(name: "share.version", maxVersionLevel: 1, minVersionLevel: 1),
                .init(name: "transaction.version", maxVersionLevel: 2, minVersionLevel: 2),
            ])
        #expect(answer.finalizedFeaturesEpoch >= 0)
    }

    /// Old Java clients refuse the whole answer when a lowest version is 0; they know version 3.
    @Test func featuresThatMayBeOffAreNotNamedToOldClients() {
        let answer = ApiVersionsResponse.served(version: 3)
        #expect(answer.supportedFeatures.map(\.name) == ["group.version", "share.version"])
        #expect(answer.finalizedFeatures.map(\.name) == ["group.version", "share.version", "transaction.version"])
    }

    @Test func preparedAPIsAreReadAndNotServed() throws {
        let advertised = Set(ApiVersionsResponse.served().apiKeys.map(\.apiKey))
        for api in APIRegistry.prepared {
            #expect(!advertised.contains(api.key.rawValue))
            for version in api.served {
                let header = RequestHeader(
                    apiKey: api.key.rawValue, version: version, correlationID: 1, clientID: nil)
                #expect(header.key == api.key && !header.isServed)
            }
        }
    }

    @Test func unsupportedVersionNamesOnlyApiVersions() {
        let answer = ApiVersionsResponse.unsupportedVersion()
        #expect(answer.errorCode == .unsupportedVersion)
        #expect(answer.apiKeys == [.init(apiKey: 18, minVersion: 0, maxVersion: 4)])
    }
}
