package policy

import (
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// rows read as a list: the owner, its limited keys, policies, other organizations,
// anonymous, block public access, ACLs, foreign objects, conditions.
var rows = []row{
	// The owner's keys and their scopes.
	{who: owners, action: GetObject, key: "k", want: AllowedByScopes},
	{who: owners, action: PutObject, key: "k", want: AllowedByScopes},
	{who: owners, action: DeleteBucket, want: AllowedByScopes},
	{who: alice, action: GetObject, key: "k", scopes: readPhotos, want: AllowedByScopes},
	{who: alice, action: ListBucket, scopes: readPhotos, want: AllowedByScopes},
	{who: alice, action: PutObject, key: "k", scopes: readPhotos, want: DeniedByScopes},
	{who: alice, action: DeleteBucket, scopes: readPhotos, want: DeniedByScopes},
	{who: alice, action: GetObject, key: "k", scopes: nothing, want: DeniedByScopes},
	{
		who: alice, action: GetObject, key: "a/b", scopes: scopeOf([]string{"s3:Get*"}, "photos/a/*"),
		want: AllowedByScopes,
	},
	{
		who: alice, action: GetObject, key: "b/a/", scopes: scopeOf([]string{"s3:Get*"}, "photos/a/*"),
		want: DeniedByScopes,
	},
	{who: alice, action: ListBucket, scopes: scopeOf([]string{"s3:*"}, "photos/*"), want: AllowedByScopes},
	{who: alice, action: ListBucket, scopes: readPhotosIn, want: DeniedByScopes},
	{who: alice, action: ListBucket, scopes: readPhotosIn, change: prefixed("in/"), want: AllowedByScopes},
	{who: alice, action: ListBucketVersions, scopes: readPhotosIn, change: prefixed("in/a"), want: AllowedByScopes},
	{
		who: alice, action: ListBucketMultipartUploads, scopes: readPhotosIn, change: prefixed("in/"),
		want: AllowedByScopes,
	},
	{who: alice, action: ListBucket, scopes: readPhotosIn, change: prefixed("in"), want: DeniedByScopes},
	{who: alice, action: ListBucket, scopes: readPhotosIn, change: prefixed("out/"), want: DeniedByScopes},
	{who: alice, action: GetBucketLocation, scopes: readPhotosIn, want: AllowedByScopes},
	{who: alice, action: GetBucketVersioning, scopes: readPhotosIn, want: DeniedByScopes},
	{
		who: alice, action: ListBucket,
		scopes: scopeOf([]string{"read"}, "photos/in/*.jpg"), change: prefixed("in/a.jpg"),
		want: DeniedByScopes,
	},
	{
		who: alice, action: ListBucket, scopes: scopeOf([]string{"write"}, "photos/in/*"), change: prefixed("in/"),
		want: DeniedByScopes,
	},
	{who: alice, action: GetObject, key: "k", scopes: scopeOf([]string{"s3:*"}, "photos"), want: DeniedByScopes},
	{who: alice, action: GetObject, key: "k", scopes: scopeOf([]string{"*"}), want: AllowedByScopes},
	{who: alice, action: PutObject, key: "k", scopes: scopeOf([]string{"write"}, "photo?/*"), want: AllowedByScopes},
	{who: alice, action: PutObjectAcl, key: "k", scopes: scopeOf([]string{"write"}, "*"), want: DeniedByScopes},
	{who: alice, action: DeleteObjectVersion, key: "k", scopes: scopeOf([]string{"write"}, "*"), want: AllowedByScopes},
	{who: alice, action: PutBucketPolicy, scopes: scopeOf([]string{"read", "write"}), want: DeniedByScopes},

	// The bucket policy and the owner's keys.
	{
		who: alice, action: PutObject, key: "k", scopes: readPhotos,
		policy: doc(allow(isAlice, "s3:PutObject", "photos/*")), want: AllowedByPolicy,
	},
	{
		who: alice, action: PutObject, key: "k", scopes: readPhotos,
		policy: doc(allow(isAcme, "s3:PutObject", "photos/*")), want: DeniedByScopes,
	},
	{
		who: alice, action: PutObject, key: "k", scopes: readPhotos,
		policy: doc(allow(anyone, "s3:PutObject", "photos/*")), want: AllowedByPolicy,
	},
	{
		who: alice, action: PutObject, key: "k",
		scopes: readPhotos, policy: doc(allow(isBob, "s3:PutObject", "photos/*")),
		want: DeniedByScopes,
	},
	{
		who: alice, action: PutObject, key: "k", policy: doc(deny(isAlice, "s3:PutObject", "photos/*")),
		want: DeniedByPolicy,
	},
	{
		who: owners, action: PutObject, key: "k", policy: doc(deny(isAlice, "s3:PutObject", "photos/*")),
		want: AllowedByScopes,
	},
	{
		who: owners, action: PutObject, key: "k", policy: doc(deny(isAcme, "s3:PutObject", "photos/*")),
		want: DeniedByPolicy,
	},
	{who: owners, action: GetObject, key: "k", policy: doc(deny(anyone, "s3:*", "photos/*")), want: DeniedByPolicy},
	{who: owners, action: GetObject, key: "k", policy: doc(deny(anyone, "s3:*", "photos")), want: AllowedByScopes},
	{who: alice, action: GetObject, key: "k", policy: doc(allow(isAlice, "s3:GetObject", "photos/*"),
		deny(isAlice, "s3:Get*", "photos/k")), want: DeniedByPolicy},
	{who: owners, action: PutBucketPolicy, policy: doc(deny(anyone, "s3:*", "photos")), want: AllowedByScopes},
	{who: owners, action: DeleteBucketPolicy, policy: doc(deny(anyone, "s3:*", "photos")), want: AllowedByScopes},
	{
		who: alice, action: PutBucketPolicy, scopes: scopeOf([]string{"s3:*"}, "*"),
		policy: doc(deny(anyone, "s3:*", "photos")), want: DeniedByPolicy,
	},
	{who: bob, action: PutBucketPolicy, policy: doc(deny(anyone, "s3:*", "photos")), want: DeniedByPolicy},
	{who: owners, action: PutBucketAcl, policy: doc(deny(anyone, "s3:*", "photos")), want: DeniedByPolicy},
	{
		who: alice, action: GetObject, key: "k",
		policy: `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::acme:user/admin"},"Action":"s3:*","Resource":"arn:aws:s3:::photos/*"}}`, want: DeniedByPolicy,
	},
	{
		who: owners, action: GetObject, key: "k",
		policy: `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::acme:user/admin"},"Action":"s3:*","Resource":"arn:aws:s3:::photos/*"}}`, want: AllowedByScopes,
	},
	{
		who: owners, action: GetObject, key: "k",
		policy: `{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"s3:Get*","Resource":"arn:aws:s3:::photos/*"}}`, want: AllowedByScopes,
	},
	{
		who: owners, action: PutObject, key: "k",
		policy: `{"Statement":{"Effect":"Deny","Principal":"*","NotAction":"s3:Get*","Resource":"arn:aws:s3:::photos/*"}}`, want: DeniedByPolicy,
	},
	{
		who: owners, action: PutObject, key: "in/k",
		policy: `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","NotResource":"arn:aws:s3:::photos/in/*"}}`, want: AllowedByScopes,
	},
	{
		who: owners, action: PutObject, key: "out/k",
		policy: `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","NotResource":"arn:aws:s3:::photos/in/*"}}`, want: DeniedByPolicy,
	},

	// Other organizations need both sides.
	{who: bob, action: GetObject, key: "k", want: NotGranted},
	{
		who: bob, action: GetObject, key: "k", policy: doc(allow(isBob, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: bob, action: GetObject, key: "k", policy: doc(allow(isOther, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: bob, action: GetObject, key: "k", policy: doc(allow(isOther2, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: bob, action: GetObject, key: "k", policy: doc(allow(isCanonicalOther, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{who: bob, action: GetObject, key: "k", policy: doc(allow(isAlice, "s3:GetObject", "photos/*")), want: NotGranted},
	{who: bob, action: PutObject, key: "k", policy: doc(allow(isBob, "s3:GetObject", "photos/*")), want: NotGranted},
	{
		who: bob, action: GetObject, key: "k", scopes: nothing, policy: doc(allow(isBob, "s3:GetObject", "photos/*")),
		want: DeniedByScopes,
	},
	{
		who: bob, action: GetObject, key: "k", scopes: readPhotos, policy: doc(allow(isBob, "s3:*", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: bob, action: PutObject, key: "k", scopes: readPhotos, policy: doc(allow(isBob, "s3:*", "photos/*")),
		want: DeniedByScopes,
	},
	{who: bob, action: GetObject, key: "k", policy: doc(allow(isOther, "s3:*", "photos/*"),
		deny(isBob, "s3:GetObject", "photos/*")), want: DeniedByPolicy},
	{who: bob, action: AbortMultipartUpload, key: "k", change: func(q *Request) {
		q.OwnUpload = true
	}, want: AllowedAsInitiator},
	{who: bob, action: AbortMultipartUpload, key: "k", want: NotGranted},
	{who: bob, action: ListMultipartUploadParts, key: "k", scopes: nothing, change: func(q *Request) {
		q.OwnUpload = true
	}, want: DeniedByScopes},
	{who: bob, action: GetObject, key: "k", change: func(q *Request) { q.OwnUpload = true }, want: NotGranted},

	// Who did not sign, and block public access.
	{who: somebody, action: GetObject, key: "k", want: NotGranted},
	{
		who: somebody, action: GetObject, key: "k", block: open, policy: doc(allow(anyone, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open,
		policy: doc(allow(`{"AWS":"*"}`, "s3:GetObject", "photos/*")), want: AllowedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k", policy: doc(allow(anyone, "s3:GetObject", "photos/*")),
		want: DeniedPublic,
	},
	{who: bob, action: GetObject, key: "k", policy: doc(allow(anyone, "s3:GetObject", "photos/*")), want: DeniedPublic},
	{who: bob, action: GetObject, key: "k", policy: doc(allow(anyone, "s3:GetObject", "photos/*"),
		allow(isBob, "s3:GetObject", "photos/*")), want: DeniedPublic},
	{
		who: alice, action: GetObject, key: "k",
		scopes: nothing, policy: doc(allow(anyone, "s3:GetObject", "photos/*")),
		want: AllowedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k", block: &storagev1.PublicAccessBlock{RestrictPublicBuckets: true},
		policy: doc(allow(anyone, "s3:GetObject", "photos/*")), want: DeniedPublic,
	},
	{
		who: somebody, action: GetObject, key: "k", block: &storagev1.PublicAccessBlock{
			BlockPublicPolicy: true,
			BlockPublicAcls:   true, IgnorePublicAcls: true,
		},
		policy: doc(allow(anyone, "s3:GetObject", "photos/*")), want: AllowedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k",
		policy: doc(allow(anyone, "s3:GetObject", "photos/*",
			`"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)), want: AllowedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, policy: doc(allow(isBob, "s3:GetObject", "photos/*")),
		want: NotGranted,
	},
	{
		who: bob, action: GetObject, key: "k", scopes: nothing, block: open,
		policy: doc(allow(anyone, "s3:GetObject", "photos/*")), want: DeniedByScopes,
	},
	{
		who: somebody, action: PutObject, key: "k", block: open, policy: doc(allow(anyone, "s3:GetObject", "photos/*")),
		want: NotGranted,
	},
	{who: somebody, action: GetObject, key: "k", block: open, policy: doc(allow(anyone, "s3:GetObject", "photos/*"),
		deny(anyone, "s3:GetObject", "photos/k*")), want: DeniedByPolicy},
	{who: somebody, action: AbortMultipartUpload, key: "k", change: func(q *Request) {
		q.OwnUpload = true
	}, want: NotGranted},

	// ACLs: off unless the bucket says so.
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: enforced, object: "acme",
		objectACL: PublicRead, want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer,
		object: "acme", objectACL: PublicRead,
		want: AllowedByACL,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: preferred, object: "acme",
		objectACL: PublicRead, want: AllowedByACL,
	},
	{
		who: somebody, action: GetObject, key: "k", ownership: writer, object: "acme", objectACL: PublicRead,
		want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: &storagev1.PublicAccessBlock{IgnorePublicAcls: true},
		ownership: writer, object: "acme", objectACL: PublicRead, want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: &storagev1.PublicAccessBlock{BlockPublicAcls: true},
		ownership: writer, object: "acme", objectACL: PublicRead, want: AllowedByACL,
	},
	{
		who: somebody, action: GetObjectVersion, key: "k", block: open, ownership: writer, object: "acme",
		objectACL: PublicRead, want: AllowedByACL,
	},
	{
		who: somebody, action: GetObjectTagging, key: "k", block: open, ownership: writer, object: "acme",
		objectACL: PublicRead, want: NotGranted,
	},
	{
		who: somebody, action: GetObjectAcl, key: "k", block: open, ownership: writer, object: "acme",
		objectACL: PublicRead, want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer, object: "acme",
		objectACL: AuthenticatedRead, want: NotGranted,
	},
	{
		who: bob, action: GetObject, key: "k", block: open, ownership: writer, object: "acme",
		objectACL: AuthenticatedRead, want: AllowedByACL,
	},
	{
		who: bob, action: GetObject, key: "k", scopes: nothing, block: open, ownership: writer, object: "acme",
		objectACL: PublicRead, want: DeniedByScopes,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer, bucketACL: PublicReadWrite,
		object: "acme", objectACL: Private, want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer, bucketACL: PublicReadWrite,
		want: NotGranted,
	},
	{who: somebody, action: ListBucket, block: open, ownership: writer, bucketACL: PublicRead, want: AllowedByACL},
	{
		who: somebody, action: ListBucketVersions, block: open, ownership: writer, bucketACL: PublicRead,
		want: AllowedByACL,
	},
	{
		who: somebody, action: PutObject, key: "k", block: open, ownership: writer, bucketACL: PublicRead,
		want: NotGranted,
	},
	{
		who: somebody, action: PutObject, key: "k", block: open, ownership: writer, bucketACL: PublicReadWrite,
		want: AllowedByACL,
	},
	{
		who: somebody, action: DeleteObject, key: "k", block: open, ownership: writer, bucketACL: PublicReadWrite,
		object: "acme", want: NotGranted,
	},
	{
		who: bob, action: DeleteObject, key: "k", block: open, ownership: writer, bucketACL: PublicReadWrite,
		object: "other", want: AllowedByACL,
	},
	{
		who: bob, action: PutBucketAcl, ownership: writer,
		grants: []*storagev1.Grant{grantTo("other", storagev1.Grant_PERMISSION_WRITE_ACP)}, want: AllowedByACL,
	},
	{
		who: bob, action: GetBucketAcl, ownership: writer,
		grants: []*storagev1.Grant{grantTo("other", storagev1.Grant_PERMISSION_WRITE_ACP)}, want: NotGranted,
	},
	{
		who: bob, action: GetBucketAcl, ownership: writer, grants: []*storagev1.Grant{grantTo("other", fc)},
		want: AllowedByACL,
	},
	{
		who: bob, action: DeleteBucket, ownership: writer, grants: []*storagev1.Grant{grantTo("other", fc)},
		want: NotGranted,
	},
	{
		who: somebody, action: PutObject, key: "k", block: open, ownership: writer, bucketACL: LogDeliveryWrite,
		want: NotGranted,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer,
		object: "acme", objectACL: PublicRead,
		policy: doc(deny(anyone, "s3:GetObject", "photos/*")), want: DeniedByPolicy,
	},

	// Objects that others own, where ACLs count.
	{
		who: owners, action: GetObject, key: "k", ownership: writer, object: "other", objectACL: Private,
		want: DeniedForeignObject,
	},
	{
		who: owners, action: GetObject, key: "k", ownership: enforced, object: "other", objectACL: Private,
		want: AllowedByScopes,
	},
	{
		who: owners, action: GetObject, key: "k", ownership: writer, object: "other", objectACL: BucketOwnerRead,
		want: AllowedByACL,
	},
	{
		who: owners, action: PutObjectAcl, key: "k", ownership: writer, object: "other", objectACL: BucketOwnerRead,
		want: DeniedForeignObject,
	},
	{
		who: owners, action: PutObjectAcl, key: "k", ownership: writer,
		object: "other", objectACL: BucketOwnerFullControl,
		want: AllowedByACL,
	},
	{
		who: owners, action: DeleteObject, key: "k", ownership: writer, object: "other", objectACL: Private,
		want: AllowedByScopes,
	},
	{
		who: owners, action: PutObject, key: "k", ownership: writer, object: "other", objectACL: Private,
		want: AllowedByScopes,
	},
	{
		who: bob, action: GetObject, key: "k", ownership: writer, object: "other", objectACL: Private,
		want: AllowedByScopes,
	},
	{
		who: bob, action: GetObject, key: "k", scopes: nothing, ownership: writer, object: "other", objectACL: Private,
		want: DeniedByScopes,
	},
	{
		who: bob, action: GetObject, key: "k", ownership: writer, object: "other",
		policy: doc(deny(isBob, "s3:GetObject", "photos/*")), want: DeniedByPolicy,
	},
	{
		who: somebody, action: GetObject, key: "k", block: open, ownership: writer, object: "other",
		policy: doc(allow(anyone, "s3:GetObject", "photos/*")), want: DeniedForeignObject,
	},

	// Conditions and variables.
	{
		who: alice, action: PutObject, key: "home/alice/x", scopes: nothing,
		policy: doc(allow(isAlice, "s3:PutObject", "photos/home/${aws:username}/*")), want: AllowedByPolicy,
	},
	{
		who: alice, action: PutObject, key: "home/bob/x", scopes: nothing,
		policy: doc(allow(isAlice, "s3:PutObject", "photos/home/${aws:username}/*")), want: DeniedByScopes,
	},
	{
		who: owners, action: GetObject, key: "k",
		policy: doc(deny(anyone, "s3:*", "photos/*", `"Condition":{"Bool":{"aws:SecureTransport":"false"}}`)),
		want:   AllowedByScopes,
	},
	{
		who: owners, action: GetObject, key: "k",
		policy: doc(deny(anyone, "s3:*", "photos/*", `"Condition":{"Bool":{"aws:SecureTransport":"false"}}`)),
		change: func(q *Request) {
			q.TLS = 0
		}, want: DeniedByPolicy,
	},
	{
		who: owners, action: PutObject, key: "k",
		policy: doc(deny(anyone, "s3:PutObject", "photos/*",
			`"Condition":{"Null":{"s3:x-amz-server-side-encryption":true}}`)), want: DeniedByPolicy,
	},
	{
		who: owners, action: PutObject, key: "k",
		policy: doc(deny(anyone, "s3:PutObject", "photos/*",
			`"Condition":{"Null":{"s3:x-amz-server-side-encryption":true}}`)),
		change: func(q *Request) { q.Header.Set("x-amz-server-side-encryption", "AES256") }, want: AllowedByScopes,
	},
	{
		who: bob, action: GetObject, key: "k",
		policy: doc(allow(isBob, "s3:GetObject", "photos/*",
			`"Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`)), want: NotGranted,
	},
	{
		who: bob, action: GetObject, key: "k",
		policy: doc(allow(isBob, "s3:GetObject", "photos/*",
			`"Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`)),
		change: func(q *Request) {
			q.ExistingTags = func() map[string]string { return map[string]string{"team": "red"} }
		}, want: AllowedByPolicy,
	},
}
