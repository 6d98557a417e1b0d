<?xml version='1.0' encoding='utf-8'?>
<Message>
  <!-- Made by hand: every liberty that the format allows. -->
  <From>sample-pc-02</From>
  <Priority>1</Priority>
  <TO> custominventory </TO>
  <Body>
    <Inventory hash="not ours">
      <inventoryclass GUID="{2B2A934A-B000-57F1-83F0-B840D59F1DF2}">
        <data>
          <resource resourceref='pc'>
            <row C2="Example OS 11" c0='SAMPLE-PC-02'/>
          </resource>
        </data>
      </inventoryclass>
      <Resources>
        <Resource Ref="pc" TypeGuid="{493435F7-3B17-4C4C-B07F-C23E7AB7781F}" Name="SAMPLE-PC-02" Guid="">
          <Keys>
            <Key Name=" fqdn " Value="sample-pc-02.office.example"/>
            <Key Name="uniqueid" Value="SAMPLE-4C4C4544-0002"/>
            <Key Name="macaddress" Value="   "/>
          </Keys>
        </Resource>
        <resource ref="user" guid="5e0d33a2-04b4-5a0c-8d9e-3c1a9a3f6a11" name="Ångström &amp; Søn">
          <key name="name.domain" value="office\angstrom"/>
        </resource>
      </Resources>
      <resourceAssociations>
        <resourceAssociation typeGuid="ed35a8d1-bf60-4771-9dde-092c146c485a" parentResourceRef="pc" childResourceRef="user"/>
        <resourceAssociation typeGuid="05de450f39ea4aae8c5f77817889c27c" parentResourceRef="pc" childResourceGuid="(8D0A9A2E-52F4-4B6E-9D4C-0C9A3B1F7E55)"/>
      </resourceAssociations>
      <inventoryClass guid="30f0a3d2-e154-5b00-adca-0f1fb7c3d22d">
        <data>
          <resource resourceRef="pc" partialUpdate="True">
            <row c0="8d0a9a2e-52f4-4b6e-9d4c-0c9a3b1f7e56" c1="1"></row>
            <row c0="8d0a9a2e-52f4-4b6e-9d4c-0c9a3b1f7e57" c1="0"></row>
          </resource>
        </data>
      </inventoryClass>
      <eventClass guid="bf68ab7f-845c-5eb3-a38a-52ecaac42768">
        <data><resource resourceGuid="5e0d33a2-04b4-5a0c-8d9e-3c1a9a3f6a11"><row c0="setup.exe" c1="0"/></resource></data>
      </eventClass>
    </Inventory>
  </Body>
</Message>
