<?xml version="1.0" encoding="utf-8"?>
<message>
<to>{1592B913-72F3-4C36-91D2-D4EDA21D2F96}</to>
<body>
<inventory>
<resources>
<resource ref="0" guid="b6a25a0c-e7e6-5b00-ba94-ae7edd4281f4" typeGuid="493435f7-3b17-4c4c-b07f-c23e7ab7781f" name="SAMPLE-PC-01">
<key name="name.domain" value="sample-pc-01.example"/>
<key name="fqdn" value="sample-pc-01.office.example"/>
<key name="uniqueid" value="SAMPLE-4C4C4544-0001"/>
<key name="macaddress" value="02-00-5E-10-00-01"/>
</resource>
</resources>
<resourceAssociations>
<resourceAssociation typeGuid="ed35a8d1-bf60-4771-9dde-092c146c485a" parentResourceRef="0" childResourceGuid="4923ff00-a2cd-5b33-8374-c5a26e7bc710"/>
<resourceAssociation typeGuid="05de450f-39ea-4aae-8c5f-77817889c27c" parentResourceRef="0" childResourceGuid="c8e84420-412d-5a5e-978c-f8e8335a24e8"/>
<resourceAssociation typeGuid="3028166f-c0d6-41d8-9cb7-f64852e0fd01" parentResourceRef="0" childResourceGuid="c02a4509-c2c1-5095-b934-fdaa4b0210ee"/>
</resourceAssociations>
<inventoryClass guid="2b2a934a-b000-57f1-83f0-b840d59f1df2">
<data>
<resource resourceRef="0">
<row c0="SAMPLE-PC-01" c1="office" c2="Example OS 10"/>
</resource>
</data>
</inventoryClass>
<inventoryClass guid="e3775e73-743e-5eee-b851-8361b2b523ac">
<data>
<resource resourceRef="0">
<row c0="Example Works" c1="Model 7" c2="EX-0001-7F" c3="16384" c4="8"/>
</resource>
</data>
</inventoryClass>
<inventoryClass guid="d2752a28-46f9-5f61-8002-28f90b9fe322">
<data>
<resource resourceRef="0">
<row c0="Example Agent" c1="7.1.8280.0" c2="2026-02-03 07:15:00" c3="true"/>
</resource>
</data>
</inventoryClass>
<inventoryClass guid="60d6ac77-971c-59a7-b2aa-d51c4fa73733">
<data>
<resource resourceRef="0">
<row c0="C:" c1="fixed" c2="250000" c3="90000"/>
<row c0="D:" c1="fixed" c2="500000" c3="180000"/>
<row c0="E:" c1="fixed" c2="750000" c3="270000"/>
<row c0="F:" c1="network" c2="1000000" c3="360000"/>
<row c0="G:" c1="network" c2="1250000" c3="450000"/>
</resource>
</data>
</inventoryClass>
<inventoryClass guid="48ec9c74-d918-556b-a6a8-d2b3bb4309ad">
<data>
<resource resourceRef="0">
<row c0="adapter 1" c1="02-00-5E-10-00-01" c2="192.0.2.1" c3="255.255.255.0"/>
<row c0="adapter 2" c1="02-00-5E-10-00-02" c2="192.0.2.2" c3="255.255.255.0"/>
<row c0="adapter 3" c1="02-00-5E-10-00-03"/>
<row c0="adapter 4" c1="02-00-5E-10-00-04" c2="192.0.2.4" c3="255.255.255.0"/>
<row c0="adapter 5" c1="02-00-5E-10-00-05" c2="192.0.2.5" c3="255.255.255.0"/>
<row c0="adapter 6" c1="02-00-5E-10-00-06"/>
</resource>
</data>
</inventoryClass>
<inventoryClass guid="30f0a3d2-e154-5b00-adca-0f1fb7c3d22d">
<data>
<resource resourceRef="0">
<row c0="b2cea738-402f-5146-81be-77f0159e16f3" c1="1"/>
<row c0="01074dd3-e269-5057-ba55-baba959adec2" c1="1"/>
<row c0="63495683-5b35-5893-844e-7784dafd3b23" c1="1"/>
<row c0="3ca0674e-3028-5973-8ef3-b154cbe76f68" c1="1"/>
<row c0="2ad7ea60-69a3-5fd9-b3ee-71a33dbaffe2" c1="0"/>
<row c0="6b995669-129e-5baa-8b3f-47b8103850dc" c1="1"/>
<row c0="9f0a1333-bd39-5f51-97fd-41efc6c8ce83" c1="1"/>
<row c0="32d00e71-a622-5e8e-9e77-17d01c16dc6a" c1="1"/>
<row c0="4f21b8d1-8479-5375-8252-f8bf6632e50b" c1="1"/>
<row c0="1ca5826b-0a4f-5a8a-9160-127740390640" c1="0"/>
<row c0="005c4500-ebce-57c0-9a25-5991837b13e5" c1="1"/>
<row c0="77c17836-5569-5042-a162-de1169558904" c1="1"/>
<row c0="bdba9ac3-b37e-58c6-8b89-efdf9b549bfc" c1="1"/>
<row c0="79b0315a-4e1c-5777-97e9-1882732fdfac" c1="1"/>
<row c0="96b890c8-1f56-59d3-9c33-15d5ad486499" c1="0"/>
<row c0="61adfc3e-4206-54c4-8a87-4e943f31b5a6" c1="1"/>
<row c0="18f61000-e1df-5687-bf43-c1070ece34c9" c1="1"/>
<row c0="ea3e68ee-f172-59f3-ac0d-9bef4702797f" c1="1"/>
<row c0="20c6dcf9-f015-5f24-81fb-e2747d6bb6f5" c1="1"/>
<row c0="2595e45c-9505-54b7-b6df-a682478415b0" c1="0"/>
<row c0="1820b90b-7088-58e1-bcbc-0f378d468f3c" c1="1"/>
<row c0="35cb5d36-185d-5132-a2f3-ecc68ad3efcc" c1="1"/>
<row c0="3de4564b-8a2b-50fb-aae7-c56c91fd7db1" c1="1"/>
<row c0="44e99005-86c4-5f81-bdad-9a36a9af753e" c1="1"/>
<row c0="1474d51b-fa5e-51b6-8b62-69919c1e77c6" c1="0"/>
<row c0="73da694f-60a1-54f2-89af-43698c25c393" c1="1"/>
</resource>
</data>
</inventoryClass>
</inventory>
</body>
</message>
