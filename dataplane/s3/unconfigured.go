package s3

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// What a bucket can have at AWS and here comes later is told as AWS tells it of a bucket
// that never had it; setting it answers NotImplemented.

func (q *request) getRequestPayment() error { return q.xml(s3xml.AppendRequestPayment(q.buf[:0])) }

const maxRequestPayment = 4 << 10 // octets: the document has one word

// putRequestPayment takes what is so already.
func (q *request) putRequestPayment() error {
	doc, err := q.document(q.limit(maxRequestPayment), false)
	if err != nil {
		return err
	}
	if err := s3xml.ParseRequestPayment(doc); err != nil {
		return err
	}
	return q.empty(http.StatusOK)
}

func (q *request) getLogging() error { return q.xml(s3xml.AppendLogging(q.buf[:0])) }

func (q *request) getAccelerate() error { return q.bare("AccelerateConfiguration") }

func (q *request) getNotification() error { return q.bare("NotificationConfiguration") }

// bare answers with a document that has nothing in it.
func (q *request) bare(root string) error {
	b := append(q.buf[:0], `<?xml version="1.0" encoding="UTF-8"?>`+"\n<"...)
	b = append(append(b, root...), ` xmlns="`+s3xml.Namespace+`"></`...)
	return q.xml(append(append(b, root...), '>'))
}

func (q *request) getWebsite() error {
	return s3xml.New(s3xml.NoSuchWebsiteConfiguration, "BucketName", q.name)
}

func (q *request) getReplication() error {
	return s3xml.New(s3xml.ReplicationConfigurationNotFoundError, "BucketName", q.name)
}

func (q *request) getObjectLock() error {
	return s3xml.New(s3xml.ObjectLockConfigurationNotFoundError, "BucketName", q.name)
}
