// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal
import Testing

/// The classic names.
@Suite struct BehaviorTests {
    @Test func everyPairOfBehavioursHasAClassicName() {
        #expect(ClassicNATKind(mapping: .endpointIndependent, filtering: .endpointIndependent) == .fullCone)
        #expect(ClassicNATKind(mapping: .endpointIndependent, filtering: .addressDependent) == .addressRestrictedCone)
        #expect(
            ClassicNATKind(mapping: .endpointIndependent, filtering: .addressAndPortDependent) == .portRestrictedCone
        )
        for mapping in [MappingBehavior.addressDependent, .addressAndPortDependent] {
            for filtering in FilteringBehavior.allCases {
                #expect(ClassicNATKind(mapping: mapping, filtering: filtering) == .symmetric)
            }
        }
    }
}
